"""Comparison of two embeddings on the same triplets and people: two versions or two recipes."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.table import Table

from registry import candidates, versions
from registry.metrics.estimates import Estimate, Quantity
from registry.versions import Version
from training.datasets.prepare import toy_set
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule
from training.engine.recipe import Recipe, RecipeError
from training.engine.run_folder import run_folder
from training.engine.tracking import finished
from training.metrics.embedding import evaluate_embedding
from training.models.triplets.config import TripletRecipe
from training.recipes import RECIPES
from training.train import train

Split = Literal["train", "validation", "test"]


class Row(NamedTuple):
    """One number of both embeddings on one set."""

    set: str
    quantity: Quantity
    first: Estimate
    second: Estimate

    def cells(self, intervals: bool = True) -> tuple[str, ...]:
        """Return set and metric, both numbers and their paired difference as text.

        Args:
            intervals: add the 95 % intervals.
        """
        both = (self.first, self.second)
        difference = self.first.value - self.second.value
        name = f"{self.set} {self.quantity}"
        if not intervals:
            return name, *(f"{each.value:.3f}" for each in both), f"{difference:+.3f}"
        numbers = [with_interval(each.value, each.interval()) for each in both]
        paired = with_interval(difference, self.first.difference(self.second), "+")
        return name, *numbers, paired

    def to_dict(self, intervals: bool = True) -> dict[str, Any]:
        """Return the row as JSON can hold it, with the 95 % intervals if `intervals`."""
        row: dict[str, Any] = {"set": self.set, **self.quantity._asdict()}
        row |= {"first": self.first.value, "second": self.second.value}
        row |= {"difference": self.first.value - self.second.value}
        if intervals:
            row |= {
                "first_interval": list(self.first.interval()),
                "second_interval": list(self.second.interval()),
                "difference_interval": list(self.first.difference(self.second)),
            }
        return row


def compare_versions(first: str, second: str, data: Sequence[Prepared], split: Split) -> list[Row]:
    """Return the metrics of both versions on the sets' triplets and people.

    The embedding of an emotion classifier is the square root of its softmax.

    Raises:
        RegistryError: there is no such version.
        RecipeError: there is no set, or the sets hold nothing to compare on.
    """
    if not data:
        raise RecipeError("Versions are compared on prepared data: name it with --data DEST.")
    return _rows([versions.resolve(first)], [versions.resolve(second)], data, split)


def compare_recipes(
    first: str, second: str, data: Sequence[Path], seeds: int, epochs: int | None, split: Split
) -> list[Row]:
    """Train both recipes with seeds 0, 1, ... on the same data and compare their means.

    Trainings that an earlier, stopped comparison finished are not repeated.

    Raises:
        RecipeError: a recipe doesn't exist or learns no triplets, or there is nothing to compare.
    """
    if seeds < 1 or (epochs is not None and epochs < 1):
        raise RecipeError("A comparison needs at least 1 seed and 1 epoch; see --seeds, --epochs.")
    of_first, of_second = (
        [_trained(name, _seeded(name, data, seed, epochs)) for seed in range(seeds)]
        for name in (first, second)
    )
    sets = [Prepared.open(folder) for folder in data] or [toy_set(RECIPES[first].runs)]
    return _rows(of_first, of_second, sets, split)


def table(
    rows: Sequence[Row], first: str, second: str, split: str, intervals: bool = True
) -> Table:
    """Return the rows as a table for a terminal."""
    about = "95 % intervals, difference paired" if intervals else "one seed: no interval"
    shown = Table("", first, second, "difference", title=f"{split}, {about}")
    for row in rows:
        shown.add_row(*row.cells(intervals))
    return shown


def markdown(rows: Sequence[Row], first: str, second: str, intervals: bool = True) -> str:
    """Return the rows as a Markdown table."""
    cells = [row.cells(intervals) for row in rows]
    lines = [("", first, second, "difference"), ("---",) * 4, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(value: float, interval: tuple[float, float], sign: str = "") -> str:
    """Return a number and its interval with three places.

    Args:
        value: the number.
        interval: its lower and upper end.
        sign: `+` shows the sign of positive numbers, too.
    """
    low, high = interval
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _seeded(name: str, data: Sequence[Path], seed: int, epochs: int | None) -> Recipe:
    recipe = RECIPES.get(name)
    if not isinstance(recipe, TripletRecipe):
        fit = ", ".join(n for n, known in RECIPES.items() if isinstance(known, TripletRecipe))
        raise RecipeError(f"{name} doesn't learn from triplets; choose from {fit}.")
    return replace(
        recipe,
        data=tuple(data),
        toy=recipe.toy and not data,
        seed=seed,
        epochs=epochs or recipe.epochs,
    )


def _trained(name: str, recipe: Recipe) -> Version:
    model = name.partition("-")[0]
    run_id = finished(model, run_folder(name, recipe).name)
    registered = candidates.registered_name(model)
    version = versions.find(registered, run_id=run_id) if run_id else None
    if version is None:
        folders = shlex.join(map(str, recipe.data))
        no_toy = "--no-toy " if RECIPES[name].toy else ""
        data = f"{no_toy}--data {folders} " if folders else ""
        options = f"{data}--seed {recipe.seed} --epochs {recipe.epochs}"
        version = train(name, recipe, f"python -m training train {name} {options}")
    if version is None:
        raise RecipeError(f"{name} registers no version, so there is nothing to compare.")
    return version


def _rows(
    first: Sequence[Version], second: Sequence[Version], data: Sequence[Prepared], split: Split
) -> list[Row]:
    rows = []
    for each in data:
        one, other = (_means(several, each, split) for several in (first, second))
        rows += [Row(each.name, key, one[key], other[key]) for key in one if key in other]
    if not rows:
        names = ", ".join(each.name for each in data)
        raise RecipeError(f"{names}: no fixed triplets and no persons in {split} to compare on.")
    return rows


def _means(several: Sequence[Version], data: Prepared, split: Split) -> dict[Quantity, Estimate]:
    """Return each estimate as the mean over the versions."""
    measured = [
        evaluate_embedding(GraphModule(versions.load(version)), data, version.crop, split).estimates
        for version in several
    ]
    return {
        quantity: type(estimate).mean([each[quantity] for each in measured])
        for quantity, estimate in measured[0].items()
    }
