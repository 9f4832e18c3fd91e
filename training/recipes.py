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

SUMMARIES: Mapping[str, str] = {
    "dln": "expression apart from identity, from triplets: the paper's network, for a GPU",
    "dln-compact": "the same, small, for two CPU cores; the shipped version's recipe",
    "dln-mobilefacenet": "the same from a good face recognition network of 128 px, for CPU cores",
    "dln-smoke": "the same, in seconds on drawn faces: tries the program, no more",
    "emotion": "the emotion of a face, from labelled faces: the paper's network, for a GPU",
    "emotion-compact": "the same, small, for two CPU cores; the shipped dln was started from it",
    "emotion-alone-compact": "the face branch alone: what emotion-compact was started from",
    "emotion-mobilefacenet": "a face recognition network of 128 px trained further; it is shipped",
    "emotion-smoke": "the same, in seconds on drawn faces: tries the program, no more",
    "fecnet": "the baseline, expression with identity in it, from triplets: for a GPU",
    "fecnet-compact": "the same, small, for two CPU cores; not shipped",
    "fecnet-smoke": "the same, in seconds on drawn faces: tries the program, no more",
    "identity-compact": "small face recognition, taught by a larger network; part of the others",
    "identity-smoke": "the same, in seconds on drawn faces; not registered",
    "pix2pixhd": "a person's face with another's expression, from pairs: for a GPU",
    "pix2pixhd-compact": "the same, small, for two CPU cores; the shipped version's recipe",
    "pix2pixhd-smoke": "the same, in seconds on drawn faces: tries the program, no more",
}
"""What tells each recipe apart, one line each."""


def task_of(recipe: Recipe) -> Task:
    """Return the task that a recipe describes."""
    return TASKS[type(recipe)](recipe)
