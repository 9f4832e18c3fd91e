"""What a sweep is to do, the same for all its processes."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.addresses import without_userinfo
from registry.measurements import Measurement
from training.engine.recipe import Recipe, RecipeError, with_fields
from training.engine.run_folder import run_folder
from training.sweep.spaces import FAMILIES, Objective, Space

FILE = "sweeps.db"
"""The SQLite file in the recipe's folder of runs, where no other storage is named."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep: the recipe, what is varied in it, and where its trials are kept."""

    name: str
    recipe_name: str
    recipe: Recipe
    space: Space
    trials: int
    """How many trials there will be, those of earlier calls included."""
    storage: str
    """Optuna's storage: the URL of a database."""
    arguments: tuple[str, ...]
    """The options of the recipe as they were typed, for the card."""
    parent_run: str = ""
    """The MLflow run over those of the trials."""
    stale_seconds: int = 60
    """A trial of another machine that was silent for so long is taken for killed."""

    @property
    def objective(self) -> Objective:
        """What decides which trial is best."""
        return FAMILIES[type(self.recipe)].objective

    @property
    def settings(self) -> dict[str, Any]:
        """What all calls of one sweep have to agree on, as JSON can hold it."""
        recipe = {key: str(value) for key, value in asdict(self.recipe).items() if key != "runs"}
        space = {name: str(each) for name, each in self.space.items()}
        return {"recipe": {"name": self.recipe_name} | recipe, "space": space}

    @property
    def log(self) -> Path:
        """Where worker processes write what they print."""
        return self.recipe.runs / f"{self.name}.log"

    def recipe_of(self, position: int, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a trial; its seed is the sweep's plus the trial's position."""
        return with_fields(self.recipe, dict(values) | {"seed": self.recipe.seed + position})

    def folder_of(self, position: int, values: Mapping[str, Any]) -> Path:
        """Return the folder of the checkpoints of a trial."""
        return run_folder(self.recipe_name, self.recipe_of(position, values))

    def command_of(self, position: int, values: Mapping[str, Any]) -> str:
        """Return the command that trains the network of one trial alone."""
        chosen = dict(values) | {"seed": self.recipe.seed + position}
        options = [part for name, value in chosen.items() for part in _option(name, value)]
        words = ["python", "-m", "training", "train", self.recipe_name, *self.arguments, *options]
        return shlex.join(words)

    def value_of(self, measurements: Sequence[Measurement]) -> float:
        """Return the objective's mean over the sets.

        Raises:
            RecipeError: the validation didn't measure it.
        """
        for metric in self.objective.metrics:
            values = [row.value for row in measurements if row.is_main and row.metric == metric]
            if values:
                return sum(values) / len(values)
        raise RecipeError(
            f"Trials are compared by {' or '.join(self.objective.metrics)}, which the validation "
            "of this data doesn't measure: add a set with validation faces that have what it needs."
        )


def check_name(name: str) -> None:
    """Check the name of a sweep, which becomes part of files and of MLflow's tags.

    Raises:
        RecipeError: it holds other characters than letters, digits, dots, hyphens and underscores.
    """
    if not re.fullmatch(r"[\w.-]{1,100}", name, re.ASCII):
        raise RecipeError(
            f"--name {name}: the name of a sweep has letters, digits, dots, hyphens and "
            "underscores, at most 100."
        )


def check_storage(url: str) -> None:
    """Check what --storage names.

    Raises:
        RecipeError: it is no database that a sweep can use.
    """
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise RecipeError(
            f"--storage {without_userinfo(url)}: write sqlite:///FILE, or "
            "postgresql+psycopg://HOST/NAME for several machines."
        )


def default_name(recipe_name: str, settings: Mapping[str, Any]) -> str:
    """Return the name of a sweep that was given none: equal settings have equal names."""
    text = json.dumps(settings, sort_keys=True)
    return f"{recipe_name}-sweep-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _option(name: str, value: object) -> list[str]:
    """Return a field of a recipe with its value as `training train` reads it."""
    if isinstance(value, bool):
        return [("--" if value else "--no-") + name.replace("_", "-")]
    return ["--" + name.replace("_", "-"), str(value)]
