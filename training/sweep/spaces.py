"""What a sweep varies: the ranges of each family of recipes, and what decides which trial is best.

The ranges are our decision: around what the named recipes use, a decade to each side for rates.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from training.engine.recipe import Recipe
from training.models.dln.config import DLNRecipe
from training.models.emotion.config import EmotionRecipe
from training.models.fecnet.config import FECNetRecipe
from training.models.identity.config import IdentityRecipe
from training.models.pix2pixhd.config import Pix2pixHDRecipe

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; whole ones if both ends are `int`."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw the logarithm evenly, and not the number."""

    def suggest(self, trial: "Trial", name: str) -> int | float:
        """Return the number of one trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(trial.suggest_int(name, self.low, self.high, log=self.log))
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def suggest(self, trial: "Trial", name: str) -> Any:
        """Return the value of one trial."""
        return trial.suggest_categorical(name, self.values)

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


Space = Mapping[str, Range | Choice]
"""What is varied, by the recipe's field; fields of nested dataclasses are joined by dots."""


@dataclass(frozen=True, kw_only=True)
class SearchRanges:
    """What is varied in every recipe."""

    learning_rate: Range = Range(1e-4, 1e-2, log=True)
    weight_decay: Range = Range(1e-5, 1e-1, log=True)


@dataclass(frozen=True, kw_only=True)
class TripletRanges(SearchRanges):
    """What is varied in a recipe that learns from triplets."""

    margin: Range = Range(0.05, 0.4)
    one_class_margin: Range = Range(0.02, 0.2)


@dataclass(frozen=True, kw_only=True)
class DLNRanges(TripletRanges):
    """What is varied in a recipe of the DLN."""

    crowd_penalty: Range = Range(1e-3, 1e-1, log=True)


@dataclass(frozen=True, kw_only=True)
class EmotionRanges(SearchRanges):
    """What is varied in a recipe of the emotion classifier."""

    class_weight: Range = Range(0.0, 1.0)
    mixup: Range = Range(0.0, 0.4)


@dataclass(frozen=True, kw_only=True)
class LossRanges:
    """Weights of the generator's losses; those that a recipe turns off stay off."""

    feature_matching: Range = Range(1.0, 20.0, log=True)
    pixels: Range = Range(1.0, 100.0, log=True)


@dataclass(frozen=True, kw_only=True)
class Pix2pixHDRanges:
    """What is varied in a recipe of pix2pixHD."""

    learning_rate: Range = Range(5e-5, 2e-3, log=True)
    losses: LossRanges = LossRanges()


@dataclass(frozen=True)
class Objective:
    """The metric of the validation that decides which trial is best: its mean over the sets."""

    metrics: tuple[str, ...]
    """The first that was measured counts."""
    greater_is_better: bool = True


@dataclass(frozen=True)
class Family:
    """What a sweep of one type of recipes varies and compares."""

    ranges: Any
    """A dataclass of ranges, nested as the recipe is."""
    objective: Objective


FAMILIES: Mapping[type[Recipe], Family] = {
    DLNRecipe: Family(DLNRanges(), Objective(("triplet_accuracy",))),
    FECNetRecipe: Family(TripletRanges(), Objective(("triplet_accuracy",))),
    EmotionRecipe: Family(EmotionRanges(), Objective(("macro_f1",))),
    IdentityRecipe: Family(SearchRanges(), Objective(("verification_auc", "cosine"))),
    Pix2pixHDRecipe: Family(
        Pix2pixHDRanges(), Objective(("distance_to_truth", "distance"), greater_is_better=False)
    ),
}


def default_space(recipe: Recipe) -> dict[str, Range | Choice]:
    """Return what a sweep of a recipe varies by default; a loss of weight 0 is left out."""
    found = dict(_flat(FAMILIES[type(recipe)].ranges))
    return {
        name: each
        for name, each in found.items()
        if not name.startswith("losses.") or value_of(recipe, name)
    }


def value_of(recipe: Recipe, name: str) -> Any:
    """Return a field's value; `name` may be that of a nested one, such as `losses.pixels`.

    Raises:
        AttributeError: there is no such field.
    """
    value: Any = recipe
    for part in name.split("."):
        if not is_dataclass(value) or part not in {field.name for field in fields(value)}:
            raise AttributeError(name)
        value = getattr(value, part)
    return value


def _flat(ranges: Any) -> Iterator[tuple[str, Range]]:
    for field in fields(ranges):
        value = getattr(ranges, field.name)
        if is_dataclass(value) and not isinstance(value, Range):
            for name, found in _flat(value):
                yield f"{field.name}.{name}", found
        else:
            yield field.name, value
