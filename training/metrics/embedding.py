"""What an expression embedding is measured by, in training and after: triplets, people."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import nn

from registry.crops import CropSpec
from training.datasets import fixed_triplets
from training.datasets.prepared import Prepared
from training.engine.inference import outputs
from training.metrics import identity_questions, triplet_accuracy
from training.metrics.estimates import Estimate
from training.metrics.identity_leak import leak
from training.metrics.verification import verification_auc


class EmbeddingMetrics(NamedTuple):
    """Estimates by name, and a set's fixed triplets with what became of each (`right`)."""

    estimates: dict[str, Estimate]
    triplets: pd.DataFrame
    extra: dict[str, float]
    """The frozen branch's own numbers, to hold the expression's against."""

    def metrics(self, *, intervals: bool = False) -> dict[str, float]:
        """Return the numbers, on request with the ends of their intervals."""
        found = {name: estimate.value for name, estimate in self.estimates.items()}
        for name, estimate in self.estimates.items() if intervals else ():
            low, high = estimate.interval()
            found |= {f"{name}_low": low, f"{name}_high": high}
        return found | self.extra


def evaluate_embedding(
    network: nn.Module, data: Prepared, crop: CropSpec, split: str
) -> EmbeddingMetrics:
    """Measure an embedding on one split of a set.

    Args:
        network: gives `expression`, or `logits` whose `hellinger_embedding` is taken, and perhaps
            `identity`; in eval mode.
        data: a prepared set; fixed triplets and questions about people are taken where it has any.
        crop: how faces are cut for the network.
        split: train, validation or test.
    """
    rows = needed(data, split)
    if not len(rows):
        return EmbeddingMetrics({}, fixed_triplets.fixed(data, split)[0], {})
    said = _answers(network, data, crop, rows)
    estimates, triplets = estimated(said["expression"], data, split)
    extra = _identity(said["identity"], data, split) if "identity" in said else {}
    return EmbeddingMetrics(estimates, triplets, extra)


def estimated(
    vectors: Float[np.ndarray, "faces dims"], data: Prepared, split: str
) -> tuple[dict[str, Estimate], pd.DataFrame]:
    """Return what embeddings of any origin reach, and the fixed triplets with `right`.

    Args:
        vectors: in the index's order; only the rows that `needed` names are looked at.
        data: a prepared set.
        split: train, validation or test.
    """
    triplets, faces = fixed_triplets.fixed(data, split)
    asked = identity_questions.asked(data, split)
    found: dict[str, Estimate] = {}
    if len(triplets):
        odd = triplets["answer"].to_numpy(dtype=np.int64)
        right = triplet_accuracy.outcomes(vectors, faces, odd)
        triplets["right"] = right
        found |= triplet_accuracy.shares(
            right, triplets["type"], fixed_triplets.clusters(data, faces)
        )
    if len(asked):
        found |= leak(vectors, data, asked)
    return found, triplets


def needed(data: Prepared, split: str) -> Int[np.ndarray, "needed"]:
    """Return the rows of the faces that anything is asked about, and those of the split."""
    _, faces = fixed_triplets.fixed(data, split)
    questions = [row for few in identity_questions.asked(data, split)["rows"] for row in few]
    rows = np.concatenate([faces.ravel(), data.split(split), questions])
    unique: np.ndarray = np.unique(rows).astype(np.int64)
    return unique


def hellinger_embedding(
    logits: Float[np.ndarray, "faces labels"],
) -> Float[np.ndarray, "faces labels"]:
    """Return the square root of the softmax: a classifier as an embedding.

    Euclidean distances between such unit vectors are Hellinger distances of the distributions, up
    to the factor sqrt(2).
    """
    root: np.ndarray = torch.from_numpy(logits).softmax(1).sqrt().numpy()
    return root


def _answers(
    network: nn.Module, data: Prepared, crop: CropSpec, rows: Int[np.ndarray, "needed"]
) -> dict[str, np.ndarray]:
    """Return the network's vectors in the index's order; rows that aren't needed hold NaN."""
    said = outputs(network, data, rows, crop)
    if "logits" in said:
        said["expression"] = hellinger_embedding(said.pop("logits"))
    found = {}
    for name, vectors in said.items():
        found[name] = np.full((len(data.index), vectors.shape[1]), np.nan, dtype=np.float32)
        found[name][rows] = vectors
    return found


def _identity(vectors: np.ndarray, data: Prepared, split: str) -> dict[str, float]:
    asked, rows = identity_questions.asked(data, split), data.split(split)
    across = (
        leak(vectors, data, asked[asked["kind"] == identity_questions.ACROSS]) if len(asked) else {}
    )
    auc = verification_auc(vectors[rows], data, rows) if len(rows) else None
    found = {} if auc is None else {"identity_verification_auc": auc}
    return found | {f"identity_{k}": v.value for k, v in across.items() if k == "leak_auc"}
