"""Trainings on a GPU that need neither MLflow nor downloads."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from torchvision.models import vgg19

from registry.catalog import DLN as SPEC
from training.engine.loop import Loop
from training.engine.task import Batch
from training.models.backbones.deviation import BackboneConfig
from training.models.dln.config import NetworkConfig
from training.models.dln.network import DLN
from training.models.pix2pixhd.encoder import Encoder
from training.models.pix2pixhd.perceptual import MEAN, STD, VGG_TAPS, Perceptual
from training.models.pix2pixhd.task import Pix2pixHDTask
from training.recipes import RECIPES, task_of

if not find_spec("pillow_heif"):
    # Only photos in HEIF need it, and drawn faces are none; Pillow has to know the name.
    sys.modules["pillow_heif"] = stand_in = ModuleType("pillow_heif")
    vars(stand_in)["register_heif_opener"] = lambda **_: Image.register_open(
        "HEIF", Image.Image, lambda _: False
    )

COMPACT_DLN = NetworkConfig(backbone=BackboneConfig(name="compact"))


def training(name: str, runs: Path, **fields: Any) -> Loop:
    """Return a training of a recipe on drawn faces, in train mode, with random weights."""
    recipe = replace(RECIPES[name], toy=True, data=(), runs=runs, **fields)
    task = task_of(recipe)
    if isinstance(task, Pix2pixHDTask):
        give_networks(task)
    task.begin(0)
    loop = Loop(name, recipe, task, runs / f"checkpoints-{name}")
    loop.networks.set_mode(train=True)
    return loop


def give_networks(task: Pix2pixHDTask) -> None:
    """Give a generator's task an encoder without a registry, and VGG19 without a download."""
    torch.manual_seed(0)
    inner = replace(SPEC.crop, size_px=64)
    graph = DLN(COMPACT_DLN).eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task.encoder = Encoder(graph, inner, task.crop).to(device)
    if task.recipe.perceptual.network == "vgg19":
        task.perceptual = Perceptual(vgg19(weights=None).features, VGG_TAPS, MEAN, STD).to(device)


def endless(loop: Loop) -> Iterator[Batch]:
    """Yield batches, epoch after epoch."""
    for epoch in count():
        loop.loader.set_epoch(epoch)
        yield from loop.loader
