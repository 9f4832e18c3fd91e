"""How a registered version does on faces it has not learned from."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from registry import versions
from registry.versions import Version
from training.cards.run_card import refresh
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs
from training.engine.recipe import RecipeError
from training.engine.tracking import annotate
from training.metrics.classification import with_intervals
from training.metrics.embedding import EmbeddingMetrics, evaluate_embedding
from training.metrics.estimates import Share
from training.metrics.robustness import latency, robustness
from training.models.pix2pixhd.validation import TransferValidation

TRANSFERS = 500
"""Of a set, at most."""


def evaluate(reference: str, data: Prepared, split: str = "test") -> dict[str, float]:
    """Measure a version on one split and put metrics and per-item outcomes onto it and its card.

    Args:
        reference: NAME, NAME@alias or NAME/version.
        data: a prepared set.
        split: train, validation or test.

    Returns:
        Metrics, also logged as `SPLIT/SET/METRIC`, and latencies on this machine.

    Raises:
        RecipeError: the set holds nothing this model can be measured on.
    """
    version = versions.resolve(reference)
    network, crop = GraphModule(versions.load(version)), version.crop
    if "picture" in version.outputs:
        return _transfers(version, data, split)
    if "logits" in version.outputs:
        metrics, items = _emotions(network, version, data, split)
    else:
        judged = evaluate_embedding(network, data, crop, split)
        metrics, items = judged.metrics(intervals=True) | _counted(judged), judged.triplets
    if not metrics:
        raise RecipeError(
            f"{data.name} holds nothing in split {split} that {version.name} can be measured on."
        )
    metrics |= robustness(network, data, data.split(split), crop)
    named = {f"{split}/{data.name}/{key}": value for key, value in metrics.items()}
    named |= latency(network, crop)
    annotate(version, named, items, f"{split}-{data.name}")
    refresh(version)
    return named


def _transfers(version: Version, data: Prepared, split: str) -> dict[str, float]:
    """Measure a generator: its transfers, and likeness to the truth if there is one."""
    model = versions.load(version)
    trials = TransferValidation.of([data], split, version.crop, each=TRANSFERS)
    items = trials.items(lambda faces, change: model(faces, change)["picture"], model.encode)
    if items.empty:
        raise RecipeError(f"{data.name} has no face in split {split}.")
    means = items.mean(numeric_only=True).dropna()
    named = {f"{split}/{data.name}/{name}": float(value) for name, value in means.items()}
    named[f"{split}/{data.name}/transfers"] = float(len(items))
    annotate(version, named, items, f"{split}-{data.name}")
    refresh(version)
    return named


def _counted(judged: EmbeddingMetrics) -> dict[str, float]:
    """Return of how many triplets each accuracy is the share."""
    name = "triplet_accuracy"
    return {
        key.replace(name, "triplets"): float(len(estimate.right))
        for key, estimate in judged.estimates.items()
        if key.startswith(name) and isinstance(estimate, Share)
    }


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
    metrics = with_intervals(logits, truth) | recall | {"faces": float(len(rows))}
    return metrics | _by_majority(logits, data, rows), items


def _by_majority(logits: torch.Tensor, data: Prepared, rows: np.ndarray) -> dict[str, float]:
    """Return the same by the second protocol of FER+, on the faces on which a majority agrees."""
    truth = votes.majority(data.index.iloc[rows])
    clear = ~np.isnan(truth)
    if not clear.any():
        return {}
    judged = with_intervals(logits[clear], torch.from_numpy(truth[clear]).long())
    return {f"majority/{key}": value for key, value in judged.items()} | {
        "majority/faces": float(clear.sum())
    }
