"""Trains recipes for some steps, in one process or in every one that `torchrun` starts.

    python several_processes.py DATA FOLDER
    torchrun --nproc-per-node 2 several_processes.py DATA FOLDER

The weights are written into FOLDER, as NAME-PROCESSES.safetensors.

Batch normalisation and dropout stay in eval mode: in train mode each process normalises its own
faces, and draws its own dropout, so that its numbers differ from those of one larger batch.
"""

import os
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from training.engine.loop import Loop
from training.engine.recipe import Recipe
from training.engine.task import Task
from training.loading.augmentation import Augmentation
from training.models.backbones.deviation import DeviationPair
from training.models.dln.crowd_layer import CrowdLayer
from training.models.pix2pixhd.config import MIRRORED
from training.recipes import RECIPES, task_of

BATCHES = {"emotion": 24, "dln": 12}
"""Faces per step of each of two processes, by recipe."""
STEPS = 4
"""After more steps, what was rounding is larger: whether a triplet counts depends on a limit."""
UNCHANGED: Augmentation = replace(MIRRORED, mirror=0.0)


class Frozen(nn.Module):
    """Mixed into a module's class: eval mode for ever."""

    def train(self, mode: bool = True) -> "Frozen":
        del mode
        return super().train(False)  # type: ignore[return-value]


def recipe_of(name: str, batch: int, runs: Path, data: Path) -> Recipe:
    fields: dict[str, Any] = {
        "toy": False,
        "data": (data,),
        "runs": runs,
        "device": "cpu",
        "precision": "no",
        "augmentation": UNCHANGED,
        "optimiser": "sgd",
        "schedule": "constant",
        "learning_rate": 0.02,
        "batch_size": batch,
        "epochs": 1,
    }
    if name == "emotion":
        fields |= {"class_weight": 1.0}
    else:
        fields |= {"annotated_share": 1.0, "crowd_penalty": 0.5, "learning_rate": 2e-3}
    return replace(RECIPES[f"{name}-smoke"], **fields)


def task_in_eval_mode(recipe: Recipe) -> Task:
    """Return a task whose batch normalisation and dropout stay in eval mode.

    The face branch is moved a little: without dropout both branches are equal at first, and the
    unit vector of a deviation of 0 has no slope.
    """
    task = task_of(recipe)
    torch.manual_seed(1)
    for network in task.networks.values():
        for module in network.modules():
            if isinstance(module, DeviationPair):
                for weight in module.face.parameters():
                    weight.data += 0.1 * weight.abs().mean() * torch.randn_like(weight)
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.Dropout):
                kind = type(module)
                module.__class__ = type(kind.__name__, (Frozen, kind), {})
                module.train()
    return task


def initial_weights(name: str, data: Path, runs: Path) -> dict[str, torch.Tensor]:
    """Return the weights that a training begins with."""
    networks = task_in_eval_mode(recipe_of(name, 1, runs, data)).networks
    return {f"{n}.{k}": v for n, m in networks.items() for k, v in m.state_dict().items()}


def weights_file(folder: Path, name: str, processes: int) -> Path:
    return folder / f"{name}-{processes}.safetensors"


def main(data: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    for name, batch in BATCHES.items():
        runs = folder / f"runs-{processes}"
        train(name, batch * 2 // processes, runs, data, weights_file(folder, name, processes))


def train(name: str, batch: int, runs: Path, data: Path, weights: Path) -> None:
    task = task_in_eval_mode(recipe_of(name, batch, runs, data))
    loop = Loop(name, task.recipe, task, runs / name)
    loop.networks.set_mode(train=True)
    task.begin(0)
    loop.loader.set_epoch(0)
    for faces in islice(loop.loader, STEPS):
        loop.step(faces)
    if loop.accelerator.is_main_process:
        networks = loop.trained_networks()
        assert any(isinstance(each, CrowdLayer) for each in networks.values()) == (name == "dln")
        state = {f"{n}.{k}": v for n, m in networks.items() for k, v in m.state_dict().items()}
        save_file({key: value.contiguous() for key, value in state.items()}, weights)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
