"""What is measured of an embedding, each with an interval and a paired lead over another's.

Draws are seeded, so that two embeddings asked the same questions meet the same draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from training.metrics.bootstrap import interval

RESAMPLES = 1000
CHUNK = 50
ENDS = (2.5, 97.5)


class Range(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Estimate(ABC):
    """A number measured on a list of questions."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The number."""

    @abstractmethod
    def interval(self) -> Range:
        """Return its 95 % interval, by bootstrap over photos or persons."""

    @abstractmethod
    def lead(self, other: Any) -> Range:
        """Return the 95 % interval of this number less another's on the same questions."""

    @classmethod
    @abstractmethod
    def mean(cls, several: Sequence[Any]) -> "Estimate":
        """Return the mean over trainings with several seeds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Share(Estimate):
    """How many triplets of a list are right.

    `right` holds 1 or 0 (or a mean over seeds) for each, `clusters` which photo or person each face
    belongs to; see `interval`.
    """

    right: Float[np.ndarray, "triplets"]
    clusters: Int[np.ndarray, "triplets faces"]

    @property
    def value(self) -> float:
        """The share."""
        return float(self.right.mean())

    def interval(self) -> Range:
        """Return its 95 % interval."""
        return Range(*interval(self.right, self.clusters))

    def lead(self, other: "Share") -> Range:
        """Return the 95 % interval of this share less the other's."""
        return Range(*interval(self.right - other.right, self.clusters))

    @classmethod
    def mean(cls, several: Sequence["Share"]) -> "Share":
        """Return the share over several seeds."""
        right = np.mean([each.right for each in several], axis=0)
        return cls(right=right, clusters=several[0].clusters)


@dataclass(frozen=True, kw_only=True, eq=False)
class Area(Estimate):
    """How well distances tell one person's pairs from two people's: the area under the ROC curve.

    `same` and `other` are the distances, one row a seed; `same_person` the person of each pair,
    `other_persons` the two, numbered from 0.
    """

    same: Float[np.ndarray, "seeds pairs"]
    other: Float[np.ndarray, "seeds others"]
    same_person: Int[np.ndarray, "pairs"]
    other_persons: Int[np.ndarray, "others 2"]

    @property
    def value(self) -> float:
        """The area: 1 an identity network, 0.5 an embedding that knows nobody."""
        each = [auc(same, other) for same, other in zip(self.same, self.other, strict=True)]
        return float(np.mean(each))

    def interval(self) -> Range:
        """Return its 95 % interval, by bootstrap over persons."""
        return _percentiles(self._draws())

    def lead(self, other: "Area") -> Range:
        """Return the 95 % interval of this area less the other's."""
        return _percentiles(self._draws() - other._draws())

    @classmethod
    def mean(cls, several: Sequence["Area"]) -> "Area":
        """Return the area over several seeds."""
        return cls(
            same=np.concatenate([each.same for each in several]),
            other=np.concatenate([each.other for each in several]),
            same_person=several[0].same_person,
            other_persons=several[0].other_persons,
        )

    def _draws(self) -> Float[np.ndarray, "draws"]:
        persons = int(max(self.same_person.max(), self.other_persons.max())) + 1
        rng = np.random.default_rng(0)
        counts = rng.multinomial(persons, np.full(persons, 1 / persons), size=RESAMPLES)
        areas = []
        for few in np.array_split(counts.astype(np.float64), RESAMPLES // CHUNK):
            weights = few[:, self.same_person], few[:, self.other_persons].prod(-1)
            each = [auc(s, o, *weights) for s, o in zip(self.same, self.other, strict=True)]
            areas.append(np.mean(each, axis=0))
        return np.concatenate(areas)


def auc(
    same: Float[np.ndarray, "pairs"],
    other: Float[np.ndarray, "others"],
    same_weight: Float[np.ndarray, "draws pairs"] | None = None,
    other_weight: Float[np.ndarray, "draws others"] | None = None,
) -> Float[np.ndarray, "draws"]:
    """Return P(d_same < d_other) + P(d_same = d_other) / 2, for each draw of weights.

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


def _percentiles(draws: Float[np.ndarray, "draws"]) -> Range:
    return Range(*np.nanpercentile(draws, ENDS).tolist())
