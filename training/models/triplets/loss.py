"""The loss that draws a pair together and pushes the odd one from both."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from training.models.triplets.sampling import KINDS, ONE, Triplets


class AnnotatorEmbeddings(NamedTuple):
    """Faces as each annotator sees them, unit vectors, and what a loss adds for their biases."""

    embeddings: Float[Tensor, "annotators faces dims"]
    penalty: Float[Tensor, ""]


def triplet_loss(
    embeddings: Float[Tensor, "annotators faces dims"],
    triplets: Triplets,
    margins: tuple[float, float, float] = (0.1, 0.2, 0.2),
    *,
    squared: bool = False,
) -> Float[Tensor, ""]:
    """Return max(0, d(a,p) - d(a,n) + m) + max(0, d(a,p) - d(p,n) + m), averaged.

    Plain Euclidean distances and both margins after the authors' later published trainer; FECNet
    (Vemulapalli & Agarwala, CVPR 2019) squares the distances. Types weigh the same however many a
    batch holds, and triplets that are already right by the margin leave the average (our decisions:
    a batch has few one-class and many easy triplets).

    Args:
        embeddings: each face as each annotator sees it.
        triplets: positions in the batch, with annotator and type.
        margins: for one, two and three classes, in units of the embedding.
        squared: d is the squared distance.
    """
    who = triplets.annotator

    def distance(i: Tensor, j: Tensor) -> Tensor:
        square = (embeddings[who, i] - embeddings[who, j]).square().sum(-1)
        return square if squared else (square + 1e-8).sqrt()  # its slope at 0 is infinite

    a, p, n = triplets.anchor, triplets.positive, triplets.negative
    near = distance(a, p)
    m = near.new_tensor(margins)[triplets.type - ONE]
    violation = (near - distance(a, n) + m).clamp(min=0) + (near - distance(p, n) + m).clamp(min=0)
    return torch.stack([_mean_of_active(violation, triplets.type == kind) for kind in KINDS]).mean()


def label_distance_loss(
    embeddings: Float[Tensor, "faces dims"], shares: Float[Tensor, "faces emotions"]
) -> Float[Tensor, ""]:
    """Return the mean of (|e_i - e_j| - |sqrt p_i - sqrt p_j|)^2 over the pairs of a batch.

    Our decision: triplets only say which pair is nearer; where every photo has many votes, unit
    vectors can lie as far apart as the roots of their vote distributions do (sqrt 2 times their
    Hellinger distance).

    Args:
        embeddings: unit vectors, as everybody sees the faces.
        shares: vote distributions.
    """
    apart = functional.pdist(embeddings)
    return (apart - functional.pdist(shares.sqrt())).square().mean()


def _mean_of_active(
    violation: Float[Tensor, "triplets"], chosen: Bool[Tensor, "triplets"]
) -> Float[Tensor, ""]:
    mine = violation * chosen
    return mine.sum() / (mine > 0).sum().clamp(min=1)
