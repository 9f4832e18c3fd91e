"""Every named recipe, and the task of each type of recipe."""

from collections.abc import Callable, Mapping
from typing import Any

from training.engine.recipe import Recipe
from training.engine.task import Task
from training.models.dln.config import RECIPES as DLN
from training.models.dln.config import DLNRecipe
from training.models.dln.task import DLNTask
from training.models.emotion.config import RECIPES as EMOTION
from training.models.emotion.config import EmotionRecipe
from training.models.emotion.task import EmotionTask
from training.models.fecnet.config import RECIPES as FECNET
from training.models.fecnet.config import FECNetRecipe
from training.models.fecnet.task import FECNetTask
from training.models.identity.config import RECIPES as IDENTITY
from training.models.identity.config import IdentityRecipe
from training.models.identity.task import IdentityTask
from training.models.pix2pixhd.config import RECIPES as PIX2PIXHD
from training.models.pix2pixhd.config import Pix2pixHDRecipe
from training.models.pix2pixhd.task import Pix2pixHDTask

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
