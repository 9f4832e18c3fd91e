"""Simulated annotators for data without named ones; each annotator has a constant bias.

FEC names its annotators. FER+ does not: it only has ten votes per photo. Our decision: a
simulated annotator draws a few votes from a photo's vote distribution, weighted by their bias per
emotion, and compares three faces by the drawn votes. Measured: of the clear triplets that
`Sampling` uses, biases of strength 1 change one answer in a thousand, noise aside. So the crowd
layer has next to nothing to learn from them; docs/paper_claims.md has annotators with other
metrics.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from registry.catalog import EMOTIONS


def annotator_biases(
    annotators: int, strength: float, seed: int
) -> Float[Tensor, "annotators emotions"]:
    """Return each annotator's weight per emotion, log-normal with median 1.

    Args:
        annotators: number of annotators.
        strength: std of the log weights; 0 gives all weights 1.
        seed: seed of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(annotators, len(EMOTIONS), generator=generator) * strength).exp()


def annotator_votes(
    shares: Float[Tensor, "faces emotions"],
    biases: Float[Tensor, "annotators emotions"],
    count: int,
) -> Float[Tensor, "annotators faces emotions"]:
    """Return the distribution of `count` votes that each annotator draws for each face.

    Args:
        shares: vote distribution of each face, sum 1.
        biases: each annotator's weight per emotion; see `annotator_biases`.
        count: votes drawn per annotator and face, by torch's global random generator.
    """
    weighted = (biases[:, None] * shares[None]).flatten(0, 1)
    drawn = torch.multinomial(weighted, count, replacement=True)
    votes = torch.zeros_like(weighted).scatter_add_(
        1, drawn, torch.ones_like(drawn, dtype=weighted.dtype)
    )
    return (votes / count).view(len(biases), *shares.shape)


def hellinger(
    p: Float[Tensor, "*batch emotions"], q: Float[Tensor, "*batch emotions"]
) -> Float[Tensor, "*batch"]:
    """Return the Hellinger distance of distributions: 0 if equal, 1 if they don't overlap."""
    return ((p.sqrt() - q.sqrt()).square().sum(-1) / 2).sqrt()


def odd_one(
    votes: Float[Tensor, "triplets 3 emotions"],
) -> tuple[Int[Tensor, "triplets"], Float[Tensor, "triplets"]]:
    """Return the odd face of each triplet and the lead of the nearest pair.

    Returns:
        The odd face (0, 1 or 2): the one outside the nearest pair, by Hellinger distance. The lead:
        second smallest distance minus the smallest; 0 is a tie.
    """
    pairs = torch.stack(
        [hellinger(votes[:, i], votes[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))], dim=1
    )
    near = pairs.sort(1).values
    return pairs.argmin(1), near[:, 1] - near[:, 0]
