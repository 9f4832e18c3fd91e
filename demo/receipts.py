"""What a version's own encoder measures of a transfer, held against what the version promises."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SAME = 1e-3
"""Distance (of 0 to 2) below which two expressions are one, so that none can be nearer."""
STAYS = 0.1
"""How far a face may then end from its own expression, our decision."""

NOT_NEARER = (
    "The result is not near enough to the expression asked for: it is {share:.0%} nearer, where "
    "{least:.0%} is the least to expect."
)
FARTHER = "The result is no nearer to the expression asked for than the source."
LEFT = "The source showed the expression asked for, and the result no longer does."
NOT_THE_PERSON = (
    "The result may no longer show the same person: its likeness to the source is {likeness:.2f}, "
    "where {least:.2f} is the least to expect."
)


@dataclass(frozen=True, kw_only=True)
class TransferMetrics:
    """How far a result came, and whether it is still the person.

    Attributes:
        before: Distance of the source's expression to the one asked for, 0 to 2.
        after: The same of the result.
        likeness: Cosine similarity of who the result and the source are, -1 to 1.
        driver_likeness: The same to the driver, for comparison; None where there is none.
    """

    before: float
    after: float
    likeness: float
    driver_likeness: float | None

    @property
    def nearer(self) -> float:
        """Part of `before` by which the result is nearer; below 0 it is farther."""
        return 1 - self.after / self.before if self.before > SAME else 0.0

    @property
    def moved(self) -> str:
        """How far the result came, in words."""
        if round(100 * self.nearer) == 0:
            return "As near to the expression as before"
        way = "nearer to" if self.nearer > 0 else "farther from"
        return f"{abs(self.nearer):.0%} {way} the expression"


def failures(
    receipts: TransferMetrics, thresholds: Mapping[str, float], strength: float
) -> tuple[str, ...]:
    """Return what a result lacks of what its version promises, a sentence each.

    Args:
        receipts: Of the result.
        thresholds: The version's: "nearer", the least part of the distance that strength 1 takes
            away, and "same_person", the least likeness. One that is missing: no farther than
            before; any likeness.
        strength: Below 1, so much of "nearer" is promised; at 0 and below, nothing.
    """
    said: list[str] = []
    least = thresholds.get("nearer", 0.0) * min(1.0, strength)
    if receipts.before <= SAME:
        said += [LEFT] if receipts.after > STAYS else []
    elif strength > 0 and (receipts.nearer < least or receipts.nearer <= 0):
        told = NOT_NEARER if receipts.nearer > 0 else FARTHER
        said.append(told.format(share=receipts.nearer, least=least))
    least = thresholds.get("same_person", -1.0)
    if receipts.likeness < least:
        said.append(NOT_THE_PERSON.format(likeness=receipts.likeness, least=least))
    return tuple(said)


def distance(one: Float[np.ndarray, "d"], other: Float[np.ndarray, "d"]) -> float:
    """Return the distance of two unit vectors, 0 to 2."""
    return float(np.linalg.norm(one - other))
