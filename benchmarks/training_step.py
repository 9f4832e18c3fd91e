"""A step of our training against a plain loop, in turn in one run, at equal precision.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --recipe dln-compact --data data/ferplus --json step.json

The plain loop is what one writes first from the paper: every face is read from its file by Pillow
in every epoch, both branches compute forward and backward, the loss is read after each step. Both
train the same network with the same augmentation, triplets and optimiser. A GPU has a row of its
own.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
import rows
import torch
from accelerate.state import AcceleratorState
from rows import Row
from torch import Tensor
from torch.nn import functional

from registry.crops import recut
from registry.temporary import TemporaryFolder
from training.datasets.prepared import Prepared
from training.engine.loop import Loop
from training.engine.recipe import Precision
from training.engine.task import Batch
from training.models.dln.config import DLNRecipe
from training.models.dln.task import DLNTask
from training.models.triplets.loss import triplet_loss
from training.recipes import RECIPES

WARM = 2


class Ours:
    """The step of the program."""

    def __init__(self, recipe: DLNRecipe, folder: Path) -> None:
        self.task = DLNTask(recipe)
        self.loop = Loop("benchmark", recipe, self.task, folder)
        self.loop.networks.set_mode(train=True)
        self.batches = self._endless()
        self.waited = 0.0

    def _endless(self) -> Iterator[Batch]:
        for epoch in count():
            self.loop.loader.set_epoch(epoch)
            yield from self.loop.loader

    def __call__(self) -> None:
        """Load a batch and train on it."""
        began = time.perf_counter()
        batch = next(self.batches)
        self.waited = time.perf_counter() - began
        self.loop.step(batch)


class Plain:
    """A loop without anything that the program adds."""

    def __init__(self, recipe: DLNRecipe, device: torch.device, bf16: bool) -> None:
        self.recipe, self.device = recipe, device
        self.autocast = torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()
        task = DLNTask(recipe)
        self.sets, self.dataset = task.sets, task.dataset
        self.dln, self.crowd = task.dln.to(device), task.crowd.to(device)
        self.dln.train()
        self.dln.pair.identity.requires_grad_(True)
        trained = [*self.dln.pair.face.parameters(), *self.dln.norm.parameters()]
        trained += [*self.dln.head.parameters(), *self.crowd.parameters()]
        self.optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate)
        self.crop = task.crop
        self.rng = np.random.default_rng(0)

    def __call__(self) -> None:
        """Decode a batch and train on it."""
        faces = self.dataset.faces
        items = self.rng.permutation(self.dataset.labelled_count)[: self.recipe.batch_size]
        pixels = np.stack(
            [self._decoded(self.sets[faces.sets[i]], int(faces.rows[i])) for i in items]
        )
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
        where = torch.from_numpy(items)
        shares, single = (
            faces.targets[key][where].to(self.device) for key in ("shares", "single_vote")
        )
        loss = self._loss(self.recipe.augmentation(x), shares, single)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        loss.item()

    def _decoded(self, data: Prepared, row: int) -> np.ndarray:
        margin = float(data.index["margin"].to_numpy(dtype=float)[row])
        return recut(data.read_crop(row), margin, self.crop)

    def _loss(self, faces: Tensor, shares: Tensor, single: Tensor) -> Tensor:
        with self.autocast:
            difference = self.dln.pair.face(faces) - self.dln.pair.identity(faces)
            expression = functional.normalize(self.dln.head(self.dln.norm(difference)), dim=1)
            outputs = self.crowd(expression)
        triplets = self.recipe.sampling.draw(shares, single, self.recipe.seed)
        loss: Tensor = triplet_loss(outputs.embeddings.float(), triplets) + outputs.penalty
        return loss


def measure(recipe: DLNRecipe, name: str, steps: int, folder: Path) -> list[Row]:
    """Train by both loops, a step of each in turn, and return the figures."""
    ours = Ours(recipe, folder)
    device, precision = ours.loop.accelerator.device, ours.loop.precision
    plain = Plain(recipe, device, precision == "bf16")
    for step in (ours, plain) * WARM:
        _timed(step, device)
    mine: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    waited = 0.0
    for _ in range(steps):
        mine.append(_timed(ours, device))
        waited += ours.waited
        theirs.append(_timed(plain, device))
    (my_s, my_cpu_s), (their_s, their_cpu_s) = (
        map(statistics.median, zip(*each, strict=True)) for each in (mine, theirs)
    )
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    what = f"{name}, batch {recipe.batch_size}, {card}, {precision.replace('no', 'float32')}"
    return [
        Row(
            what=f"step of {what}",
            value=recipe.batch_size / my_s,
            unit="faces/s",
            beside="plain loop",
            beside_value=recipe.batch_size / their_s,
            target=1.2,
            at_least=True,
        ),
        Row(
            what=f"CPU seconds of a step of {what}",
            value=my_cpu_s,
            unit="s",
            beside="plain loop",
            beside_value=their_cpu_s,
        ),
        Row(
            what=f"share of the time in which {what}, waits for its batch",
            value=100 * waited / sum(seconds for seconds, _ in mine),
            unit="%",
            target=5,
        ),
    ]


def _timed(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Return the seconds that a step took, by the clock and of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - cpu


def main(
    recipe: str, data: Sequence[Path], steps: int, precision: Precision, out: Path | None
) -> None:
    """Measure on the CPU, and on a GPU if there is one, and print the table."""
    torch.set_flush_denormal(True)
    chosen = RECIPES[recipe]
    assert isinstance(chosen, DLNRecipe)
    gpu: list[Literal["auto", "cpu"]] = ["auto"] if torch.cuda.is_available() else []
    devices: list[Literal["auto", "cpu"]] = [*gpu, "cpu"]
    found: list[Row] = []
    with TemporaryFolder() as folder:
        for device in devices:
            AcceleratorState._reset_state(reset_partial_state=True)  # it keeps its device
            asked = replace(
                chosen,
                data=tuple(data),
                toy=not data,
                runs=folder / "runs",
                device=device,
                precision=precision,
            )
            found += measure(asked, recipe, steps, folder / device)
    print(rows.table(found))
    if out:
        rows.write(out, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [name for name, recipe in RECIPES.items() if isinstance(recipe, DLNRecipe)]
    parser.add_argument("--recipe", choices=names, default="dln-compact")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="sets; else drawn faces")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--precision", choices=["auto", "no", "bf16"], default="auto")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    main(given.recipe, given.data, given.steps, given.precision, given.json)
