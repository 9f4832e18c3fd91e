"""How soon discriminators of pixels and of perceptual maps recognise generated mouths.

    python benchmarks/discriminators.py --data PREPARED... --perceptual-weights FILE

pix2pixhd in production draws the results for batches of the compact recipe, at its warm-up size,
cut to the score window of that recipe's discriminators. Both kinds learn from the same windows for
the same steps, with a fixed generator, and then score windows of validation's persons. Prints a
Markdown table: the share in which the real window gets the higher score, with a truth, and without
one, where the driver's own face is the real picture. Faces that should not change are left out.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn

from registry import versions
from training.datasets.prepared import Prepared
from training.models.pix2pixhd import losses
from training.models.pix2pixhd.config import RECIPES, Pix2pixHDRecipe
from training.models.pix2pixhd.task import Pix2pixHDTask

PRODUCTION = "pix2pixhd@production"
HELD_OUT = 60
"""Batches of validation's persons."""
BATCH = 16
SAME = 0.01
"""Mean difference of real and generated window below which the face should not change."""
HEAD = "| discriminators | channels | seconds | with a truth | without |\n|---|---|---|---|---|"
SWAPPED = {"train": "validation", "validation": "train", "test": "test"}


class Recorder(nn.Module):
    """Discriminators that only store their inputs: condition and picture."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[tuple[Tensor, Tensor]] = []

    def forward(self, condition: Tensor, picture: Tensor) -> list[list[Tensor]]:
        """Return scores without meaning."""
        self.inputs.append((condition, picture))
        return [[picture[:, :1], picture[:, :1]]]


def windows(task: Pix2pixHDTask, batches: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return condition, real and generated window of some batches."""
    task.begin(0)
    networks = dict(task.networks)
    networks["generator"].eval()
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    torch.manual_seed(task.recipe.seed)
    loader = iter(task.loader())
    for _ in track(range(batches), description="Windows"):
        networks["discriminator"] = recorder = Recorder()
        with torch.no_grad():
            list(task.step(networks, next(loader)))
        (condition, real), (_, fake) = recorder.inputs[-2:]
        changed = (real - fake).abs().mean((1, 2, 3)) > SAME
        found.append((condition[changed], real[changed], fake[changed]))
    condition, real, fake = (torch.cat(parts) for parts in zip(*found, strict=True))
    return condition, real, fake


def held_out(recipe: Pix2pixHDRecipe) -> Pix2pixHDTask:
    """Return a task whose training split is the validation split."""
    task = Pix2pixHDTask(recipe)
    task.sets = tuple(
        Prepared(
            data.folder, data.name, data.index.assign(split=data.index["split"].map(SWAPPED)), None
        )
        for data in task.sets
    )
    return task


def row(
    task: Pix2pixHDTask, training: Sequence[Tensor], validation: Sequence[Tensor], steps: int
) -> str:
    """Train a task's discriminators, and return their line of the table."""
    discriminator, rate = task.discriminator, task.recipe.learning_rate
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=rate, betas=(0.5, 0.999))
    condition, real, fake = training
    began, rng = time.perf_counter(), torch.Generator().manual_seed(0)
    for _ in track(range(steps), description=task.recipe.discriminators.input):
        some = torch.randint(len(real), (BATCH,), generator=rng)
        true = losses.adversarial(discriminator(condition[some], real[some]), real=True)
        false = losses.adversarial(discriminator(condition[some], fake[some]), real=False)
        optimiser.zero_grad()
        ((true + false) / 2).backward()
        optimiser.step()
    seconds = time.perf_counter() - began
    condition, real, fake = validation
    right = _score(discriminator, condition, real) > _score(discriminator, condition, fake)
    known = condition[:, :3].flatten(1).any(1)
    shares = (f"{float(right[rows].float().mean()):.0%}" for rows in (known, ~known))
    counts = (int(rows.sum()) for rows in (known, ~known))
    cells = " | ".join(f"{share} of {n}" for share, n in zip(shares, counts, strict=True))
    config = task.recipe.discriminators
    return f"| of {config.input} | {config.channels} | {seconds:.0f} | {cells} |"


def _score(discriminator: nn.Module, condition: Tensor, picture: Tensor) -> Tensor:
    """Return the mean score of each picture."""
    with torch.no_grad():
        scales = discriminator(condition, picture)
    return torch.stack([maps[-1].mean((1, 2, 3)) for maps in scales]).mean(0)


def recipe(data: Sequence[Path], weights: Path) -> Pix2pixHDRecipe:
    """Return the compact recipe with the generator in production, all its epochs a warm-up."""
    config = versions.config(PRODUCTION)
    compact: Pix2pixHDRecipe = RECIPES["pix2pixhd-compact"]
    return replace(
        compact,
        data=tuple(data),
        perceptual=replace(compact.perceptual, weights=weights),
        start=PRODUCTION,
        condition=config["condition"],
        network=replace(compact.network, dims=config["network"]["dims"]),
        warmup=replace(compact.warmup, share=1.0),
        discriminators=replace(compact.discriminators, start_share=0.0),
        device="cpu",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="prepared sets")
    parser.add_argument("--perceptual-weights", type=Path, required=True, metavar="FILE")
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--steps", type=int, default=250)
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    of_maps = recipe(arguments.data, arguments.perceptual_weights)
    pixel_config = replace(of_maps.discriminators, input="pixels", channels=32)
    of_pixels = replace(of_maps, discriminators=pixel_config)
    tasks = [Pix2pixHDTask(each) for each in (of_pixels, of_maps)]
    training = windows(tasks[1], arguments.batches)
    validation = windows(held_out(of_maps), HELD_OUT)
    print(HEAD)
    for task in tasks:
        print(row(task, training, validation, arguments.steps), flush=True)
