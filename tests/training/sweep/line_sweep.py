"""A recipe whose sweep takes seconds; processes that read a plan of it know its task, too."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tests.training.engine.line import LineRecipe, LineTask
from training.recipes import RECIPES, SUMMARIES, TASKS
from training.sweep.spaces import FAMILIES, Family, Objective, Range

RATES = Range(1e-3, 1e-1, log=True)
HELD_AT = 10
"""The step at which a process waits that finds SWEEP_HELD set: after its first epoch."""


@dataclass(frozen=True, kw_only=True)
class SweptRecipe(LineRecipe):
    """Fit a line, many times."""

    epochs: int = 2


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """What is varied."""

    learning_rate: Range = RATES


class HeldTask(LineTask):
    """Says that it has begun its second epoch, and waits there to be killed."""

    @staticmethod
    def before_step(step: int, _: nn.Module) -> None:
        if step == HELD_AT and (folder := os.environ.get("SWEEP_HELD")):
            (Path(folder) / str(os.getpid())).touch()
            while True:
                time.sleep(0.05)


TASKS[SweptRecipe] = HeldTask  # type: ignore[index]
FAMILIES[SweptRecipe] = Family(Ranges(), Objective(("slope",)))  # type: ignore[index]


def main() -> int:
    """Run the command `sweep` with the recipe `line`, whose folder is the first argument."""
    from training.__main__ import main as run

    RECIPES["line"] = SweptRecipe(runs=Path(sys.argv[1]))  # type: ignore[index]
    SUMMARIES["line"] = "a straight line"  # type: ignore[index]
    return run(["sweep", "line", *sys.argv[2:]])


if __name__ == "__main__":
    from tests.training.sweep.line_sweep import main as imported_main

    sys.exit(imported_main())
