"""Simulated annotators: each answers triplets with a annotator_bias of their own.

FEC names its annotators, FER+ does not: it only counts ten votes a photo. Our decision: an
annotator looks at a photo, draws a few votes from that photo's own, weighted by what this annotator
tends to see, and compares three faces by what was drawn. So answers differ between annotators in a
way that repeats, and the crowd layer has something to learn.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from registry.catalog import EMOTIONS


def annotator_biases(
    annotators: int, strength: float, seed: int
) -> Float[Tensor, "annotators emotions"]:
    """Return what each annotator tends to see: log-normal weights of the emotions, mean about 1."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(annotators, len(EMOTIONS), generator=generator) * strength).exp()


def annotator_votes(
    shares: Float[Tensor, "faces emotions"],
    annotator_bias: Float[Tensor, "annotators emotions"],
    voters: int,
) -> Float[Tensor, "annotators faces emotions"]:
    """Return each annotator's view of each face: `voters` votes drawn anew, as a distribution."""
    weighted = (annotator_bias[:, None] * shares[None]).flatten(0, 1)
    drawn = torch.multinomial(weighted, voters, replacement=True)
    seen = torch.zeros_like(weighted).scatter_add_(
        1, drawn, torch.ones_like(drawn, dtype=weighted.dtype)
    )
    return (seen / voters).view(len(annotator_bias), *shares.shape)


def hellinger(
    p: Float[Tensor, "*batch emotions"], q: Float[Tensor, "*batch emotions"]
) -> Float[Tensor, "*batch"]:
    """Return the Hellinger distance of distributions, 0 (equal) to 1 (nothing in common)."""
    return ((p.sqrt() - q.sqrt()).square().sum(-1) / 2).sqrt()


def odd_one(
    seen: Float[Tensor, "triplets 3 emotions"],
) -> tuple[Int[Tensor, "triplets"], Float[Tensor, "triplets"]]:
    """Return which of three (0, 1, 2) is odd, and by how much its pair is the nearest."""
    pairs = torch.stack(
        [hellinger(seen[:, i], seen[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))], dim=1
    )
    near = pairs.sort(1).values
    return pairs.argmin(1), near[:, 1] - near[:, 0]
