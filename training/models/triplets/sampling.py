"""Triplets out of a batch of faces, answered by annotators."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from training.models.triplets.annotators import (
    annotator_biases,
    annotator_votes,
    hellinger,
    odd_one,
)

KINDS = ONE, TWO, THREE = 1, 2, 3
"""Types after FEC: how many emotion classes the three faces belong to."""


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """Positions in a batch: two faces that share an expression, and the odd one."""

    anchor: Int[Tensor, "triplets"]
    positive: Int[Tensor, "triplets"]
    negative: Int[Tensor, "triplets"]
    annotator: Int[Tensor, "triplets"]
    type: Int[Tensor, "triplets"]

    def __len__(self) -> int:
        return len(self.anchor)


def joined(first: Triplets, second: Triplets) -> Triplets:
    """Return the triplets of both."""
    names = [field.name for field in fields(Triplets)]
    return Triplets(
        **{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names}
    )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How triplets are drawn; thresholds are Hellinger distances between vote distributions."""

    annotators: int = 12
    """Simulated annotators; FEC's printed rows name twelve."""
    voters: int = 5
    """Votes an annotator draws from a photo's own before answering."""
    annotator_bias: float = 0.5
    """Strength of an annotator's tendency: standard deviation of log weights."""
    candidates: int = 16384
    """AnnotatedTriplets drawn from a batch, of which the clear ones are kept."""
    near: float = 0.30
    """Largest distance of a pair that people agree on, as in the fixed FER+ triplets."""
    far: float = 0.45
    """Smallest distance of the odd one to both, as in the fixed FER+ triplets."""

    def draw(self, shares: Float[Tensor, "faces emotions"], single: Tensor, seed: int) -> Triplets:
        """Return triplets of a batch, drawn by torch's global random generator.

        Three faces are worth asking about when the full votes say a pair is near and the third far;
        an annotator then answers from their own view, rightly or wrongly, unless it is a tie.

        Args:
            shares: vote distributions of the batch.
            single: (faces,) bool, labelled by one person only: left out where all three share one
                emotion, since one vote holds no shades.
            seed: of the annotators' annotator_biases.
        """
        chosen = self._worth_asking(shares, single)
        lean = annotator_biases(self.annotators, self.annotator_bias, seed).to(shares.device)
        annotator = torch.randint(self.annotators, (len(chosen),), device=shares.device)
        seen = annotator_votes(shares, lean, self.voters)[annotator[:, None], chosen]
        odd, lead = odd_one(seen)
        answered = lead > 0
        chosen, odd, annotator = chosen[answered], odd[answered], annotator[answered]
        order = (odd[:, None] + torch.tensor([1, 2, 0], device=odd.device)) % 3
        anchor, positive, negative = chosen.gather(1, order).unbind(1)
        classes = shares.argmax(1)[chosen].sort(1).values
        return Triplets(
            anchor=anchor,
            positive=positive,
            negative=negative,
            annotator=annotator,
            type=1 + (classes.diff(dim=1) != 0).sum(1),
        )

    def _worth_asking(self, shares: Tensor, single: Tensor) -> Int[Tensor, "triplets 3"]:
        threes = torch.randint(len(shares), (self.candidates, 3), device=shares.device)
        a, b, c = shares[threes].unbind(1)
        pairs = torch.stack([hellinger(b, c), hellinger(a, c), hellinger(a, b)], 1).sort(1).values
        clear = (pairs[:, 0] <= self.near) & (pairs[:, 1] >= self.far)
        different = (threes.sort(1).values.diff(dim=1) != 0).all(1)
        classes = shares.argmax(1)[threes]
        one_class = (classes == classes[:, :1]).all(1)
        return threes[clear & different & ~(one_class & single[threes].any(1))]
