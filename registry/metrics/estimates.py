"""Numbers measured on triplets or pairs, each with an interval and a paired difference.

The bootstrap draws are seeded: two embeddings that are measured on the same triplets and pairs get
the same draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from registry.metrics.bootstrap import interval

RESAMPLES = 1000
CHUNK = 50
PERCENTILES = (2.5, 97.5)


class Quantity(NamedTuple):
    """What an estimate measures: a metric on all triplets or pairs, or on a group of them."""

    metric: str
    group: str = ""

    def __str__(self) -> str:
        """Return the text shown in tables."""
        return f"{self.metric}, {self.group}" if self.group else self.metric


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """A metric of two versions on the same items."""

    candidate: float
    other: float
    interval: Interval | None
    """The 95 % interval of candidate - other, by paired bootstrap over persons, or over photos
    where the persons are not known; None where it is not known."""


class Estimate(ABC):
    """A number measured on a list of triplets or pairs."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The number."""

    @abstractmethod
    def interval(self) -> Interval:
        """Return its 95 % interval, by bootstrap over photos or persons."""

    @abstractmethod
    def difference(self, other: Any) -> Interval:
        """Return the 95 % interval of this number minus another's on the same triplets or pairs."""

    @classmethod
    @abstractmethod
    def mean(cls, estimates: Sequence[Any]) -> "Estimate":
        """Return the mean over trainings with several seeds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TripletAccuracy(Estimate):
    """The share of right triplets."""

    right: Float[np.ndarray, "triplets"]
    """1 or 0 for each triplet, or a mean over seeds."""
    clusters: Int[np.ndarray, "triplets faces"]
    """The photo or person of each face; see `bootstrap.interval`."""

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return float(self.right.mean())

    def interval(self) -> Interval:
        """Return its 95 % interval."""
        return Interval(*interval(self.right, self.clusters))

    def difference(self, other: "TripletAccuracy") -> Interval:
        """Return the 95 % interval of this share minus the other's."""
        return Interval(*interval(self.right - other.right, self.clusters))

    @classmethod
    def mean(cls, estimates: Sequence["TripletAccuracy"]) -> "TripletAccuracy":
        """Return the share over several seeds."""
        right = np.mean([each.right for each in estimates], axis=0)
        return cls(right=right, clusters=estimates[0].clusters)


@dataclass(frozen=True, kw_only=True, eq=False)
class RocAuc(Estimate):
    """ROC AUC of classifying pairs by distance: pairs of one person against pairs of two."""

    same: Float[np.ndarray, "seeds pairs"]
    """Distances of pairs of one person, a row for each seed."""
    other: Float[np.ndarray, "seeds others"]
    """Distances of pairs of two people, a row for each seed."""
    same_person: Int[np.ndarray, "pairs"]
    """The person of each pair, numbered from 0."""
    other_persons: Int[np.ndarray, "others 2"]
    """The two people of each pair, numbered from 0."""

    @property
    def value(self) -> float:
        """The area: 1 for a perfect identity network, 0.5 if distances contain no identity."""
        areas = [auc(same, other) for same, other in zip(self.same, self.other, strict=True)]
        return float(np.mean(areas))

    def interval(self) -> Interval:
        """Return its 95 % interval, by bootstrap over persons."""
        return _percentiles(self._resampled())

    def difference(self, other: "RocAuc") -> Interval:
        """Return the 95 % interval of this area minus the other's."""
        return _percentiles(self._resampled() - other._resampled())

    @classmethod
    def mean(cls, estimates: Sequence["RocAuc"]) -> "RocAuc":
        """Return the area over several seeds."""
        return cls(
            same=np.concatenate([each.same for each in estimates]),
            other=np.concatenate([each.other for each in estimates]),
            same_person=estimates[0].same_person,
            other_persons=estimates[0].other_persons,
        )

    def _resampled(self) -> Float[np.ndarray, "resamples"]:
        persons = int(max(self.same_person.max(), self.other_persons.max())) + 1
        rng = np.random.default_rng(0)
        counts = rng.multinomial(persons, np.full(persons, 1 / persons), size=RESAMPLES)
        areas = []
        for chunk in np.array_split(counts.astype(np.float64), RESAMPLES // CHUNK):
            weights = chunk[:, self.same_person], chunk[:, self.other_persons].prod(-1)
            each = [auc(s, o, *weights) for s, o in zip(self.same, self.other, strict=True)]
            areas.append(np.mean(each, axis=0))
        return np.concatenate(areas)


def auc(
    same: Float[np.ndarray, "pairs"],
    other: Float[np.ndarray, "others"],
    same_weight: Float[np.ndarray, "resamples pairs"] | None = None,
    other_weight: Float[np.ndarray, "resamples others"] | None = None,
) -> Float[np.ndarray, "resamples"]:
    """Return P(d_same < d_other) + P(d_same = d_other) / 2, for each row of weights.

    Args:
        same: distances of pairs of one person.
        other: distances of pairs of two people.
        same_weight: how often each pair counts; once by default.
        other_weight: the same for the pairs of two people.
    """
    weight = np.ones((1, len(same))) if same_weight is None else same_weight
    against = np.ones((1, len(other))) if other_weight is None else other_weight
    order = np.argsort(same)
    below = np.pad(weight[:, order].cumsum(1), ((0, 0), (1, 0)))
    low, high = (np.searchsorted(same[order], other, side) for side in ("left", "right"))
    won = ((below[:, low] + below[:, high]) / 2 * against).sum(1)
    total = weight.sum(1) * against.sum(1)
    area: np.ndarray = won / np.where(total, total, np.nan)
    return area


def _percentiles(values: Float[np.ndarray, "resamples"]) -> Interval:
    return Interval(*np.nanpercentile(values, PERCENTILES).tolist())
