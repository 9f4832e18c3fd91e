"""How a registered version does on faces it has not learned from."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from registry import versions
from registry.versions import ProductionModel, Version
from training.config import RecipeError
from training.datasets.index import Prepared
from training.emotion.metrics import emotion_metrics
from training.inference import outputs
from training.tracking import annotate
from training.triplets import accuracy, lists
from training.verification import verification_auc


class _Served(nn.Module):
    """A registered version, called like a network."""

    def __init__(self, model: ProductionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.model(faces)


def evaluate(reference: str, data: Prepared, split: str = "test") -> dict[str, float]:
    """Measure a version on one split and put metrics and per-item outcomes onto it.

    Args:
        reference: NAME, NAME@alias or NAME/version.
        data: a prepared set.
        split: train, validation or test.

    Returns:
        Metrics, also logged as `SPLIT/SET/METRIC`.

    Raises:
        RecipeError: the set holds nothing this model can be measured on.
    """
    version = versions.resolve(reference)
    network = _Served(versions.load(version))
    if "logits" in version.outputs:
        metrics, items = _emotions(network, version, data, split)
    else:
        metrics, items = _triplets(network, version, data, split)
    if not metrics:
        raise RecipeError(
            f"{data.name} holds nothing in split {split} that {version.name} can be measured on."
        )
    named = {f"{split}/{data.name}/{key}": value for key, value in metrics.items()}
    annotate(version, named, items, f"{split}-{data.name}")
    return named


def _emotions(
    network: nn.Module, version: Version, data: Prepared, split: str
) -> tuple[dict[str, float], pd.DataFrame]:
    emotion = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)
    rows = data.split(split)
    rows = rows[emotion[rows] < len(version.labels)]
    if not len(rows):
        return {}, pd.DataFrame()
    logits = torch.from_numpy(outputs(network, data, rows, version.crop)["logits"])
    truth = torch.from_numpy(emotion[rows]).long()
    top = logits.softmax(1).max(1)
    named = np.array(version.labels)
    items = pd.DataFrame(
        {
            "name": data.index["name"].to_numpy()[rows],
            "emotion": named[truth.numpy()],
            "answer": named[top.indices.numpy()],
            "probability": top.values.numpy(),
        }
    )
    right = items["answer"] == items["emotion"]
    shares = right.groupby(items["emotion"]).mean()
    recall = {f"recall_{label}": float(share) for label, share in shares.items()}
    return emotion_metrics(logits, truth) | recall | {"faces": float(len(rows))}, items


def _triplets(
    network: nn.Module, version: Version, data: Prepared, split: str
) -> tuple[dict[str, float], pd.DataFrame]:
    triplets, faces = lists.fixed(data, split)
    rows = data.split(split)
    if not len(rows):
        return {}, pd.DataFrame()
    needed, where = np.unique(np.concatenate([faces.ravel(), rows]), return_inverse=True)
    said = outputs(network, data, needed, version.crop)
    metrics: dict[str, float] = {}
    if len(triplets):
        odd = triplets["answer"].to_numpy(dtype=np.int64)
        at = where[: faces.size].reshape(faces.shape)
        right = accuracy.outcomes(said["expression"], at, odd)
        triplets["right"] = right
        metrics = accuracy.accuracy(right, triplets["type"])
        metrics |= accuracy.intervals(right, triplets["type"], lists.clusters(data, faces))
    if "identity" in said:
        auc = verification_auc(said["identity"], data, needed)
        metrics |= {} if auc is None else {"identity_verification_auc": auc}
    return metrics, triplets
