"""The smallest task: fit a line to points, trained in a second."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from registry import store, versions
from registry.measurements import Measurement
from registry.versions import Version
from tests.registry.conftest import CROP, SPEC, Tiny
from training.engine.optimisers import optimisation
from training.engine.recipe import Precision, Recipe, VersionReference
from training.engine.task import (
    Batch,
    Networks,
    Optimisation,
    SummaryRow,
    Task,
    TrainedModel,
    Update,
)
from training.loading.batches import Items, batches

STEPS = 8
"""Steps of an epoch."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The target of the fit."""

    teacher: VersionReference | None = None


@dataclass(frozen=True, kw_only=True)
class LineRecipe(Recipe):
    """Fit a line."""

    start: VersionReference | None = None
    target: Target = Target()
    toy: bool = True
    precision: Precision = "no"
    epochs: int = 3
    batch_size: int = 4
    checkpoint_steps: int = 3


class Points(Items):
    def __len__(self) -> int:
        return STEPS * 4

    def __getitems__(self, items: list[int]) -> Batch:
        x = torch.tensor(items, dtype=torch.float32)[:, None] / 10
        return {"x": x, "y": 3 * x + 1}


class Line(nn.Module):
    """A line, and a parameter that isn't used."""

    def __init__(self, unused: int = 1) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.unused = nn.Parameter(torch.zeros(unused))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.line(x)
        return y


class LineTask(Task):
    """Fits a line; a test may set a function that runs before each step."""

    spec = SPEC
    crop = CROP
    recipe: LineRecipe
    before_step: Callable[[int, nn.Module], None] = staticmethod(lambda _step, _line: None)
    loss_factor: Callable[[int], float] = staticmethod(lambda _step: 1.0)
    unused = 1
    """Number of the network's unused weights."""
    tasks: "list[LineTask]" = []  # noqa: RUF012
    """The tasks that a test has created."""

    def __init__(self, recipe: LineRecipe) -> None:
        super().__init__(recipe)
        self.steps = 0
        self.tasks.append(self)

    @classmethod
    def stop_at(cls, step: int | None) -> None:
        """Simulate Ctrl-C before a step of each task, counted from 1."""

        def stop(at: int, _: nn.Module) -> None:
            if at == step:
                raise KeyboardInterrupt

        cls.before_step = staticmethod(stop)

    @cached_property
    def line(self) -> nn.Module:
        torch.manual_seed(self.recipe.seed)
        return Line(self.unused)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"line": self.line}

    def summary_rows(self) -> dict[str, SummaryRow]:
        return {"line": SummaryRow(self.line, torch.zeros(1, 1))}

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        parameters = self.line.parameters()
        return {"line": optimisation(self.recipe, parameters, steps, "adamw", "cosine")}

    def loader(self) -> DataLoader[Any]:
        return batches(Points(), size=self.recipe.batch_size)

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        self.steps += 1
        self.before_step(self.steps, networks["line"])
        noise = torch.rand(len(batch["x"]), 1) / 100
        missed: Tensor = networks["line"](batch["x"]) - batch["y"] - noise
        yield Update(optimiser="line", loss=missed.square().mean() * self.loss_factor(self.steps))

    def validate(self, networks: Networks) -> list[Measurement]:
        slope = float(networks["line"].get_parameter("line.weight"))
        return [Measurement(split="validation", set="line", metric="slope", value=slope)]

    def export(self, networks: Networks) -> TrainedModel:
        del networks
        config = {"network": {}, "start": self.recipe.start, "teacher": self.recipe.target.teacher}
        return TrainedModel(network=Tiny(), config=config, crop=CROP)


def register() -> Version:
    """Register a tiny version of dln, which a recipe may name."""
    run = store.connect().create_run(store.experiment("dln"))
    return versions.register(
        SPEC, Tiny(), crop=CROP, run_id=run.info.run_id, config={"network": {}}, description="Tiny"
    )
