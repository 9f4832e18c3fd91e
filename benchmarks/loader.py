"""Whether training waits for its pictures: the loader against the step.

    python benchmarks/loader.py dln-compact data/ferplus

Prints faces per second of the loader alone and of the step alone (forward, backward, optimiser, on
one batch again and again), and of both together the share of the time that the step waited. A ratio
above 1 means that the loader is the faster one. Medians over the batches, in one run.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator

from training.engine import precision
from training.engine.device import device_of
from training.engine.task import Batch, Task
from training.recipes import RECIPES, task_of

WARM = 2


def main(recipe: str, folders: list[Path], steps: int, workers: int) -> None:
    """Time loader, step and both, and print the table."""
    chosen = replace(RECIPES[recipe], data=tuple(folders), workers=workers)
    used = precision.choose(chosen.precision, device_of(chosen))
    accelerator = Accelerator(mixed_precision=used)
    task = task_of(chosen)
    step = _stepped(task, accelerator)
    loader = accelerator.prepare(task.loader())
    list(islice(loader, WARM))
    loaded = [seconds for _, seconds in islice(_timed(iter(loader)), steps)]
    batch = next(iter(loader))
    stepped = [_seconds(step, batch) for _ in range(WARM + steps)][WARM:]
    waited, worked = 0.0, 0.0
    for fetched, seconds in islice(_timed(iter(loader)), steps):
        waited, worked = waited + seconds, worked + _seconds(step, fetched)
    faces = len(batch["index"])
    loads, takes = statistics.median(loaded), statistics.median(stepped)
    print(f"loader alone   {faces / loads:8.0f} faces/s")
    print(f"step alone     {faces / takes:8.0f} faces/s on {accelerator.device}")
    print(f"loader / step  {takes / loads:8.1f}")
    print(f"waited         {waited / (waited + worked):8.1%} of {waited + worked:.0f} s")


def _stepped(task: Task, accelerator: Accelerator) -> Callable[[Batch], None]:
    """Return one step of the training, as the loop makes it."""
    networks = {
        name: accelerator.prepare(network.to(memory_format=torch.channels_last))
        for name, network in task.networks.items()
    }
    optimisers = {name: o.optimiser for name, o in task.optimisations(1000).items()}

    def step(batch: Batch) -> None:
        for update in task.step(networks, batch):
            optimisers[update.optimiser].zero_grad()
            accelerator.backward(update.loss)
            optimisers[update.optimiser].step()
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Yield each batch with the seconds it took to load."""
    while True:
        began = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - began


def _seconds(step: Callable[[Batch], None], batch: Batch) -> float:
    began = time.perf_counter()
    step(batch)
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0, help="processes that read ahead")
    chosen = parser.parse_args()
    main(chosen.recipe, chosen.folders, chosen.steps, chosen.workers)
