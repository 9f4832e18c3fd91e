"""How soon discriminators of pixels and of perceptual maps tell generated mouths from real ones.

    python benchmarks/discriminators.py --data PREPARED... --perceptual-weights FILE

Lets pix2pixhd in production draw for the questions of the compact recipe, at its early size, and
keeps the window that the recipe's discriminators see. On the same windows both kinds learn for the
same steps, the generator standing still; then each is asked about windows of validation's persons.
Prints a Markdown table: the share in which the real window gets the higher verdict, where there is
a truth and where the driver's own face stands for it. Faces asked for no change are left out.
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
"""Mean difference of real and generated window below which nothing was asked for."""
HEAD = "| discriminators | channels | seconds | with a truth | without |\n|---|---|---|---|---|"
SWAPPED = {"train": "validation", "validation": "train", "test": "test"}


class Listener(nn.Module):
    """Keeps what discriminators are shown: condition and picture."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Tensor, Tensor]] = []

    def forward(self, condition: Tensor, picture: Tensor) -> list[list[Tensor]]:
        """Return verdicts that say nothing."""
        self.heard.append((condition, picture))
        return [[picture[:, :1], picture[:, :1]]]


def windows(task: Pix2pixHDTask, batches: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return condition, real and generated window of the questions of some batches."""
    task.begin(0)
    networks = dict(task.networks)
    networks["generator"].eval()
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    torch.manual_seed(task.recipe.seed)
    feed = iter(task.loader())
    for _ in track(range(batches), description="Windows"):
        networks["discriminator"] = listener = Listener()
        with torch.no_grad():
            list(task.step(networks, next(feed)))
        (condition, real), (_, fake) = listener.heard[-2:]
        asked = (real - fake).abs().mean((1, 2, 3)) > SAME
        found.append((condition[asked], real[asked], fake[asked]))
    condition, real, fake = (torch.cat(parts) for parts in zip(*found, strict=True))
    return condition, real, fake


def held_out(recipe: Pix2pixHDRecipe) -> Pix2pixHDTask:
    """Return a task that asks about validation's persons, whom the first asks nothing about."""
    task = Pix2pixHDTask(recipe)
    task.sets = tuple(
        Prepared(
            data.folder, data.name, data.index.assign(split=data.index["split"].map(SWAPPED)), None
        )
        for data in task.sets
    )
    return task


def row(task: Pix2pixHDTask, seen: Sequence[Tensor], unseen: Sequence[Tensor], steps: int) -> str:
    """Let a task's discriminators learn, and return their line of the table."""
    judges, rate = task.discriminator, task.recipe.learning_rate
    optimiser = torch.optim.Adam(judges.parameters(), lr=rate, betas=(0.5, 0.999))
    condition, real, fake = seen
    began, rng = time.perf_counter(), torch.Generator().manual_seed(0)
    for _ in track(range(steps), description=task.recipe.judge_sees):
        some = torch.randint(len(real), (BATCH,), generator=rng)
        true = losses.adversarial(judges(condition[some], real[some]), real=True)
        false = losses.adversarial(judges(condition[some], fake[some]), real=False)
        optimiser.zero_grad()
        ((true + false) / 2).backward()
        optimiser.step()
    seconds = time.perf_counter() - began
    condition, real, fake = unseen
    right = _verdict(judges, condition, real) > _verdict(judges, condition, fake)
    known = condition[:, :3].flatten(1).any(1)
    shares = (f"{float(right[rows].float().mean()):.0%}" for rows in (known, ~known))
    counts = (int(rows.sum()) for rows in (known, ~known))
    said = " | ".join(f"{share} of {n}" for share, n in zip(shares, counts, strict=True))
    return (
        f"| of {task.recipe.judge_sees} | {task.recipe.judge_channels} | {seconds:.0f} | {said} |"
    )


def _verdict(judges: nn.Module, condition: Tensor, picture: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([m[-1].mean((1, 2, 3)) for m in judges(condition, picture)]).mean(0)


def recipe(data: Sequence[Path], weights: Path) -> Pix2pixHDRecipe:
    """Return the compact recipe with the generator in production, all its epochs early."""
    said = versions.config(PRODUCTION)
    compact: Pix2pixHDRecipe = RECIPES["pix2pixhd-compact"]
    return replace(
        compact,
        data=tuple(data),
        perceptual_weights=weights,
        start=PRODUCTION,
        condition=said["condition"],
        network=replace(compact.network, dims=said["network"]["dims"]),
        warmup_share=1.0,
        adversarial_from=0.0,
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
    asked = recipe(arguments.data, arguments.perceptual_weights)
    mapped = Pix2pixHDTask(asked)
    pool, asked_about = windows(mapped, arguments.batches), windows(held_out(asked), HELD_OUT)
    pixels = Pix2pixHDTask(replace(asked, judge_sees="pixels", judge_channels=32))
    print(HEAD)
    for each in (pixels, mapped):
        print(row(each, pool, asked_about, arguments.steps), flush=True)
