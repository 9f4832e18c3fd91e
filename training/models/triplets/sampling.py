"""Triplets sampled from a batch of labelled faces and answered by simulated annotators."""

from dataclasses import dataclass, fields
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from training.models.triplets.annotators import (
    annotator_biases,
    annotator_votes,
    hellinger,
    odd_one,
)

TRIPLET_TYPES = ONE_CLASS, TWO_CLASS, THREE_CLASS = 1, 2, 3
"""FEC's types: how many emotion classes the three faces belong to."""


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """Positions in a batch: two faces that share an expression, and the odd one."""

    anchor: Int[Tensor, "triplets"]
    positive: Int[Tensor, "triplets"]
    negative: Int[Tensor, "triplets"]
    annotator: Int[Tensor, "triplets"]
    """Number of the annotator who answered."""
    type: Int[Tensor, "triplets"]
    """One of TRIPLET_TYPES."""
    used: Bool[Tensor, "triplets"]
    """Whether the triplet counts; see `drop_unused`."""

    def __len__(self) -> int:
        return len(self.anchor)


def drop_unused(used: Bool[Tensor, "rows"], *columns: Tensor) -> tuple[Tensor, ...]:
    """Return `used` and the columns without the rows that aren't used.

    On a GPU all rows stay: their number would have to be known, and so the host would wait.
    """
    if used.device.type != "cpu":
        return used, *columns
    return used[used], *(column[used] for column in columns)


def joined(first: Triplets, second: Triplets) -> Triplets:
    """Return the triplets of both."""
    names = [field.name for field in fields(Triplets)]
    return Triplets(
        **{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names}
    )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How triplets are sampled; distances are Hellinger distances of vote distributions, 0 to 1."""

    annotators: int = 12
    """Number of simulated annotators; the rows printed in FEC's description name twelve."""
    votes_drawn: int = 5
    """Votes that an annotator draws from a photo's vote distribution before answering."""
    annotator_bias: float = 0.5
    """Strength of the annotators' biases: std of the log weights per emotion."""
    candidates: int = 16384
    """Triplets drawn at random from a batch; those within both limits below are used."""
    max_pair_distance: float = 0.30
    """Largest distance of the nearest pair, as in the fixed FER+ triplets."""
    min_odd_distance: float = 0.45
    """Smallest distance of the odd face to both others, as in the fixed FER+ triplets."""

    def draw(
        self,
        shares: Float[Tensor, "faces emotions"],
        single_vote: Bool[Tensor, "faces"],
        seed: int,
    ) -> Triplets:
        """Return triplets of a batch, drawn by torch's global random generator.

        A random triplet is used if, by all votes of the photos, one pair is near and the third face
        far. A simulated annotator then answers by the votes they draw, which may name another face;
        ties are dropped.

        Args:
            shares: vote distribution of each face, sum 1.
            single_vote: faces with one vote only. They are left out if all three faces have one
                emotion, because single votes don't show how they differ.
            seed: seed of the annotators' biases.
        """
        used, chosen = drop_unused(*self._candidates(shares, single_vote))
        biases = _biases(self.annotators, self.annotator_bias, seed, shares.device)
        annotator = torch.randint(self.annotators, (len(chosen),), device=shares.device)
        votes = annotator_votes(shares, biases, self.votes_drawn)[annotator[:, None], chosen]
        odd, lead = odd_one(votes)
        used, chosen, odd, annotator = drop_unused(used & (lead > 0), chosen, odd, annotator)
        order = (odd[:, None] + torch.arange(1, 4, device=odd.device)) % 3
        anchor, positive, negative = chosen.gather(1, order).unbind(1)
        classes = shares.argmax(1)[chosen].sort(1).values
        return Triplets(
            anchor=anchor,
            positive=positive,
            negative=negative,
            annotator=annotator,
            type=1 + (classes.diff(dim=1) != 0).sum(1),
            used=used,
        )

    def _candidates(
        self, shares: Float[Tensor, "faces emotions"], single_vote: Bool[Tensor, "faces"]
    ) -> tuple[Bool[Tensor, "triplets"], Int[Tensor, "triplets 3"]]:
        """Return random triplets, and before them which have one near pair and a far third face."""
        faces = torch.randint(len(shares), (self.candidates, 3), device=shares.device)
        a, b, c = shares[faces].unbind(1)
        pairs = torch.stack([hellinger(b, c), hellinger(a, c), hellinger(a, b)], 1).sort(1).values
        clear = (pairs[:, 0] <= self.max_pair_distance) & (pairs[:, 1] >= self.min_odd_distance)
        different = (faces.sort(1).values.diff(dim=1) != 0).all(1)
        classes = shares.argmax(1)[faces]
        one_class = (classes == classes[:, :1]).all(1)
        return clear & different & ~(one_class & single_vote[faces].any(1)), faces


@cache
def _biases(
    annotators: int, strength: float, seed: int, device: torch.device
) -> Float[Tensor, "annotators emotions"]:
    """Return `annotator_biases` on a device."""
    return annotator_biases(annotators, strength, seed).to(device)
