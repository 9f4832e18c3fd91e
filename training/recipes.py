"""Every named recipe, and the task each kind of recipe stands for."""

from collections.abc import Callable, Mapping
from typing import Any

from training.config import Recipe
from training.dln.config import RECIPES as DLN
from training.dln.config import DLNRecipe
from training.dln.task import DLNTask
from training.emotion.config import RECIPES as EMOTION
from training.emotion.config import EmotionRecipe
from training.emotion.task import EmotionTask
from training.fecnet.config import RECIPES as FECNET
from training.fecnet.config import FECNetRecipe
from training.fecnet.task import FECNetTask
from training.identity.config import RECIPES as IDENTITY
from training.identity.config import IdentityRecipe
from training.identity.task import IdentityTask
from training.pix2pixhd.config import RECIPES as PIX2PIXHD
from training.pix2pixhd.config import Pix2pixHDRecipe
from training.pix2pixhd.task import Pix2pixHDTask
from training.task import Task

RECIPES: Mapping[str, Recipe] = {**DLN, **EMOTION, **FECNET, **IDENTITY, **PIX2PIXHD}
TASKS: Mapping[type[Recipe], Callable[[Any], Task]] = {
    DLNRecipe: DLNTask,
    EmotionRecipe: EmotionTask,
    FECNetRecipe: FECNetTask,
    IdentityRecipe: IdentityTask,
    Pix2pixHDRecipe: Pix2pixHDTask,
}


def task_of(recipe: Recipe) -> Task:
    """Return the task that a recipe describes."""
    return TASKS[type(recipe)](recipe)
