"""How the transfer of an expression is measured, and which results are worth a warning."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

SAME_EXPRESSION = 1e-3
"""Distance up to which two expressions count as the same, so that no result can be nearer."""
FARTHEST_FROM_SAME = 0.1
"""Largest distance of a result from the expression in that case; our decision."""
WARNED_SHARE = 0.05
"""Share of the validation transfers, or of the real pairs, below a threshold; our decision."""

NOT_NEARER = (
    "The result is not near enough to the requested expression: it is {share:.0%} nearer, where "
    "at least {least:.0%} is expected."
)
NOT_NEARER_BY_SHAPES = (
    "By brows, eyes and mouth, the result is not near enough to the requested expression: its "
    "distance is {after:.2f}, where the source's is {before:.2f}."
)
FARTHER = "The result is no nearer to the requested expression than the source."
LEFT = "The source showed the requested expression, and the result no longer does."
NOT_THE_PERSON = (
    "The result may no longer show the same person: its likeness to the source is {likeness:.2f}, "
    "where at least {least:.2f} is expected."
)
MORE_LIKE_DRIVER = (
    "The result is more like the face it took the expression from ({driver:.2f}) than like the "
    "face to change ({source:.2f}): if these are two people, it may no longer show the first."
)


@dataclass(frozen=True, kw_only=True)
class TransferMetrics:
    """How near one result came to the driver's expression, and how like the person it still is.

    Distances are Euclidean between unit expression vectors, likenesses are cosines of unit identity
    vectors. All vectors come from the version's own encoder.

    The distances of blendshapes are Euclidean between the encoder's outputs `blendshapes`, which
    come from a network apart that the generator didn't learn from. They are None for a version
    without this output.
    """

    before: float
    """Distance of the source's expression to the driver's, 0 to 2."""
    after: float
    """Distance of the result's expression to the driver's, 0 to 2."""
    likeness: float
    """Likeness of the result to the source, -1 to 1."""
    driver_likeness: float | None
    """Likeness of the result to the driver, -1 to 1; None where there is no driver."""
    blendshapes_before: float | None = None
    """Distance of the source's blendshapes to the driver's, 0 or more."""
    blendshapes_after: float | None = None
    """Distance of the result's blendshapes to the driver's, 0 or more."""

    @property
    def nearer(self) -> float:
        """Share of `before` by which the result is nearer; below 0 it is farther.

        0 where the source shows the expression already (SAME_EXPRESSION).
        """
        return 1 - self.after / self.before if self.before > SAME_EXPRESSION else 0.0

    @property
    def progress(self) -> str:
        """How much nearer the result came, in words."""
        if round(100 * self.nearer) == 0:
            return "As near to the expression as before"
        way = "nearer to" if self.nearer > 0 else "farther from"
        return f"{abs(self.nearer):.0%} {way} the expression"

    @property
    def warning(self) -> str | None:
        """A sentence where the result is more like the driver than like the source, else None.

        It is no failure: two pictures of one person are alike.
        """
        if self.driver_likeness is None or self.driver_likeness <= self.likeness:
            return None
        return MORE_LIKE_DRIVER.format(driver=self.driver_likeness, source=self.likeness)

    def to_dict(self) -> dict[str, float | None]:
        """Return the fields and `nearer`, as JSON can hold them.

        Without the distances of blendshapes where the version has none.
        """
        fields = asdict(self)
        if self.blendshapes_after is None:
            del fields["blendshapes_before"], fields["blendshapes_after"]
        return {"nearer": self.nearer} | fields


@dataclass(frozen=True, kw_only=True)
class TransferThresholds:
    """What a version's results reach at least; a result below it is worth a warning.

    The fields' names are those in the metadata of a version. The defaults only
    require a result that is nearer to the expression than the source.
    """

    nearer: float = 0.0
    """Least share by which the expression comes nearer at strength 1, and in proportion below."""
    same_person: float = -1.0
    """Least likeness of the result to the source."""
    blendshapes_nearer: float | None = None
    """Least decrease of the blendshapes' distance at strength 1, and in proportion below; below 0
    they may be farther by so much. It is expected in place of `nearer`. None: `nearer` is."""

    @classmethod
    def derive(
        cls, transfers: Sequence[TransferMetrics], real_likenesses: Sequence[float]
    ) -> "TransferThresholds":
        """Return thresholds that all but WARNED_SHARE of the validation transfers reach.

        Args:
            transfers: validation transfers. `nearer` is taken from these, but no less than 0; 0
                where there are none.
            real_likenesses: likenesses of real pictures of one person; `same_person` is taken from
                these, or from the transfers where there are none. Without both, any passes.
        """
        likenesses = list(real_likenesses) or [transfer.likeness for transfer in transfers]
        found = [transfer.nearer for transfer in transfers]
        return cls(
            nearer=max(0.0, float(np.quantile(found, WARNED_SHARE))) if found else cls.nearer,
            same_person=float(np.quantile(likenesses, WARNED_SHARE))
            if likenesses
            else cls.same_person,
        )

    @classmethod
    def from_dict(cls, stored: Mapping[str, float]) -> "TransferThresholds":
        """Return the thresholds of a version's metadata; a missing one gets its default."""
        return cls(
            nearer=stored.get("nearer", cls.nearer),
            same_person=stored.get("same_person", cls.same_person),
            blendshapes_nearer=stored.get("blendshapes_nearer"),
        )

    def to_dict(self) -> dict[str, float]:
        """Return the thresholds for a version's metadata."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def failures(self, metrics: TransferMetrics, strength: float) -> tuple[str, ...]:
        """Return what a result lacks, a sentence each; none where it passes.

        Args:
            metrics: of the result.
            strength: of the transfer. Below 1, that part of `nearer` is expected; at 0 and below,
                nothing.
        """
        sentences = [self.expression_failure(metrics, strength)]
        if metrics.likeness < self.same_person:
            least = self.same_person
            sentences.append(NOT_THE_PERSON.format(likeness=metrics.likeness, least=least))
        return tuple(sentence for sentence in sentences if sentence)

    def expression_failure(self, metrics: TransferMetrics, strength: float) -> str | None:
        """Return in a sentence that a result isn't near enough to the expression, or None."""
        if metrics.before <= SAME_EXPRESSION:
            return LEFT if metrics.after > FARTHEST_FROM_SAME else None
        if strength <= 0:
            return None
        before, after = metrics.blendshapes_before, metrics.blendshapes_after
        if self.blendshapes_nearer is None or before is None or after is None:
            return self._failure_by_expression(metrics, strength)
        enough = before - after >= self.blendshapes_nearer * min(1.0, strength)
        return None if enough else NOT_NEARER_BY_SHAPES.format(before=before, after=after)

    def _failure_by_expression(self, metrics: TransferMetrics, strength: float) -> str | None:
        least = self.nearer * min(1.0, strength)
        if metrics.nearer > 0 and metrics.nearer >= least:
            return None
        if metrics.nearer <= 0:
            return FARTHER
        return NOT_NEARER.format(share=metrics.nearer, least=least)


def nearest_strength(distances: Mapping[float, float], before: float, shown: float) -> float | None:
    """Return the strength at which a result comes nearest to the driver, to offer it.

    None where none is nearer than both the source and the result that is shown.

    Args:
        distances: of the results' blendshapes to the driver's, by strength.
        before: the same of the source.
        shown: the same of the result that is shown.
    """
    best = min(distances, key=lambda strength: distances[strength], default=None)
    return best if best is not None and distances[best] < min(before, shown) else None
