"""Losses of an embedding: the triplet loss, and distances that follow the votes' distances."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from training.engine.device import mean_of_processes
from training.models.triplets.sampling import ONE_CLASS, TRIPLET_TYPES, TWO_CLASS, Triplets


class AnnotatorEmbeddings(NamedTuple):
    """One embedding per annotator and face, and a penalty on the annotators' biases.

    The first annotator's embeddings are those of the network, without a bias.
    """

    embeddings: Float[Tensor, "annotators faces dims"]
    """Unit vectors."""
    penalty: Float[Tensor, ""]
    """Added to the loss; 0 if annotators have no biases."""


def triplet_loss(
    embeddings: Float[Tensor, "annotators faces dims"],
    triplets: Triplets,
    margins: tuple[float, float, float] = (0.1, 0.2, 0.2),
    *,
    squared: bool = False,
) -> Float[Tensor, ""]:
    """Return max(0, d(a,p) - d(a,n) + m) + max(0, d(a,p) - d(p,n) + m), averaged.

    Plain Euclidean distances and both margins after the authors' later published trainer; FECNet
    (Vemulapalli & Agarwala, CVPR 2019) squares the distances. Our decisions: the mean is taken per
    type and then over the three types, since a batch has few one-class triplets; triplets with loss
    0 don't count in a type's mean, since most triplets are easy.

    Args:
        embeddings: each face's embedding for each annotator.
        triplets: positions in the batch, with annotator and type; only those marked as used count.
        margins: for one, two and three classes, in units of d.
        squared: d is the squared distance.
    """
    annotator = triplets.annotator

    def distance(i: Tensor, j: Tensor) -> Tensor:
        square = (embeddings[annotator, i] - embeddings[annotator, j]).square().sum(-1)
        return square if squared else (square + 1e-8).sqrt()  # its slope at 0 is infinite

    a, p, n = triplets.anchor, triplets.positive, triplets.negative
    near = distance(a, p)
    one, two, three = margins
    m = torch.where(triplets.type == TWO_CLASS, two, three)
    m = torch.where(triplets.type == ONE_CLASS, one, m)
    violation = (near - distance(a, n) + m).clamp(min=0) + (near - distance(p, n) + m).clamp(min=0)
    chosen = [triplets.used & (triplets.type == each) for each in TRIPLET_TYPES]
    return _means_of_active(violation, chosen).mean()


def label_distance_loss(
    embeddings: Float[Tensor, "faces dims"], shares: Float[Tensor, "faces emotions"]
) -> Float[Tensor, ""]:
    """Return the mean of (|e_i - e_j| - |sqrt p_i - sqrt p_j|)^2 over the pairs of a batch.

    Our decision: triplets only say which pair is nearer; if every photo has many votes, unit
    vectors can lie as far apart as the roots of their vote distributions do (sqrt 2 times their
    Hellinger distance).

    Args:
        embeddings: unit vectors.
        shares: vote distributions, sum 1.
    """
    distances = functional.pdist(embeddings)
    return (distances - functional.pdist(shares.sqrt())).square().mean()


def _means_of_active(
    violation: Float[Tensor, "triplets"], types: Sequence[Bool[Tensor, "triplets"]]
) -> Float[Tensor, "types"]:
    """Return the mean over each type's triplets whose violation is positive; 0 if there are none.

    Several processes divide by the count of all of them; see `mean_of_processes`.
    """
    selected = [violation * chosen for chosen in types]
    counts = mean_of_processes(torch.stack([(each > 0).sum() for each in selected]))
    return torch.stack([each.sum() for each in selected]) / counts.where(counts > 0, 1)
