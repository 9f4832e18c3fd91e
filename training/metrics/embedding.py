"""Metrics of an expression embedding: accuracy on fixed triplets, and leaked identity."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import nn

from registry.crops import CropSpec
from registry.measurements import Measurement
from registry.metrics.estimates import Estimate, Quantity
from training.datasets import fixed_triplets
from training.datasets.prepared import Prepared
from training.engine.inference import outputs
from training.metrics import identity_trials, triplet_accuracy
from training.metrics.identity_leak import LEAK, leak
from training.metrics.items import embedding_items
from training.metrics.verification import verification_auc


class EmbeddingMetrics(NamedTuple):
    """The metrics of an embedding on one split of a set."""

    split: str
    set: str
    estimates: dict[Quantity, Estimate]
    items: pd.DataFrame
    """The outcome of each triplet and pair; see `items.embedding_items`."""
    identity: dict[str, float]
    """Metrics of the frozen identity branch, to compare with those of the expression."""

    def measurements(self, *, intervals: bool = False) -> list[Measurement]:
        """Return all numbers as rows of the table of measurements.

        Args:
            intervals: compute the 95 % intervals, too, which takes seconds.
        """
        rows = []
        for (metric, group), estimate in self.estimates.items():
            low, high = estimate.interval() if intervals else (None, None)
            rows.append(self._row(metric, estimate.value, group=group, low=low, high=high))
        return rows + [self._row(metric, value) for metric, value in self.identity.items()]

    def _row(
        self,
        metric: str,
        value: float,
        *,
        group: str = "",
        low: float | None = None,
        high: float | None = None,
    ) -> Measurement:
        return Measurement(
            split=self.split,
            set=self.set,
            metric=metric,
            group=group,
            value=value,
            low=low,
            high=high,
        )


def evaluate_embedding(
    network: nn.Module, data: Prepared, crop: CropSpec, split: str
) -> EmbeddingMetrics:
    """Measure an embedding on one split of a set.

    Args:
        network: outputs `expression`, or `logits` whose `hellinger_embedding` is used, and maybe
            `identity`; in eval mode.
        data: a prepared set; its fixed triplets and identity trials are used if it has any.
        crop: how faces are cut for the network.
        split: train, validation or test.
    """
    rows = rows_to_embed(data, split)
    if not len(rows):
        return EmbeddingMetrics(split, data.name, {}, pd.DataFrame(), {})
    vectors = _vectors(network, data, crop, rows)
    measured = evaluate_vectors(vectors["expression"], data, split)
    if "identity" not in vectors:
        return measured
    return measured._replace(identity=identity_metrics(vectors["identity"], data, split))


def evaluate_vectors(
    vectors: Float[np.ndarray, "faces dims"], data: Prepared, split: str
) -> EmbeddingMetrics:
    """Measure embeddings of any origin on one split of a set.

    Args:
        vectors: embeddings in the index's order; only the rows of `rows_to_embed` are read.
        data: a prepared set.
        split: train, validation or test.
    """
    triplets, faces = fixed_triplets.answered(data, split)
    trials = identity_trials.trials(data, split)
    estimates: dict[Quantity, Estimate] = {}
    if len(triplets):
        odd = triplets["answer"].to_numpy(dtype=np.int64)
        right = triplet_accuracy.outcomes(vectors, faces, odd)
        estimates |= triplet_accuracy.accuracies(
            right, triplets["type"], fixed_triplets.clusters(data, faces)
        )
    if len(trials):
        estimates |= leak(vectors, data, trials)
    return EmbeddingMetrics(split, data.name, estimates, embedding_items(vectors, data, split), {})


def rows_to_embed(data: Prepared, split: str) -> Int[np.ndarray, "faces"]:
    """Return the rows of the faces in the split's triplets and trials, and of the split itself."""
    _, faces = fixed_triplets.answered(data, split)
    of_trials = [row for rows in identity_trials.trials(data, split)["rows"] for row in rows]
    rows = np.concatenate([faces.ravel(), data.split(split), of_trials])
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


def _vectors(
    network: nn.Module, data: Prepared, crop: CropSpec, rows: Int[np.ndarray, "faces"]
) -> dict[str, np.ndarray]:
    """Return the network's vectors in the index's order, NaN outside of `rows`."""
    computed = outputs(network, data, rows, crop)
    if "logits" in computed:
        computed["expression"] = hellinger_embedding(computed.pop("logits"))
    found = {}
    for name, vectors in computed.items():
        found[name] = np.full((len(data.index), vectors.shape[1]), np.nan, dtype=np.float32)
        found[name][rows] = vectors
    return found


def identity_metrics(
    vectors: Float[np.ndarray, "faces dims"], data: Prepared, split: str
) -> dict[str, float]:
    """Return the metrics of identity vectors, for which telling persons apart is right.

    Args:
        vectors: unit vectors in the index's order.
        data: a prepared set.
        split: train, validation or test.

    Returns:
        `identity_verification_auc` and `identity_leak_auc`, 1 is best, and `identity_adversarial`,
        the share of adversarial triplets answered by the expression, 0 is best; each only if the
        set has pairs or trials for it.
    """
    trials, rows = identity_trials.trials(data, split), data.split(split)
    auc = verification_auc(vectors[rows], data, rows) if len(rows) else None
    found = {} if auc is None else {"identity_verification_auc": auc}
    if len(trials):
        kinds = (identity_trials.ACROSS, identity_trials.ADVERSARIAL)
        revealed = leak(vectors, data, trials[trials["kind"].isin(kinds)])
        names = {
            LEAK: "identity_leak_auc",
            Quantity(identity_trials.ADVERSARIAL): "identity_adversarial",
        }
        found |= {names[q]: estimate.value for q, estimate in revealed.items() if q in names}
    return found
