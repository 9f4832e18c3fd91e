"""Measuring a registered version on prepared data."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from registry import logs, versions
from registry.errors import RegistryError
from registry.files import atomic_write
from registry.measurements import Measurement, to_rows
from registry.metrics.estimates import TripletAccuracy
from registry.outcomes import Outcomes, Source
from registry.versions import Version
from training.cards.markdown import refresh
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs
from training.engine.recipe import RecipeError
from training.engine.tracking import annotate
from training.metrics.classification import balanced_logits, emotion_measurements
from training.metrics.embedding import EmbeddingMetrics, evaluate_embedding
from training.metrics.robustness import latency, robustness
from training.metrics.triplet_accuracy import METRIC as TRIPLET_ACCURACY
from training.models.pix2pixhd.validation import TransferValidation

TRANSFERS = 500
"""Most transfers measured on a set."""
Measured = tuple[list[Measurement], pd.DataFrame]
"""Measurements, and the outcome of each item."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured of a version on one split of a set."""

    version: Version
    data: Prepared
    split: str
    rows: list[Measurement]
    """The measurements; for a network that takes one face also robustness, and latency on this
    machine."""
    items: pd.DataFrame
    """The outcome of each face, of each triplet and pair, or of each transfer."""

    @property
    def outcomes(self) -> Outcomes:
        """The outcomes with what is known of their data."""
        source = Source(
            set=self.data.name,
            split=self.split,
            digest=self.data.digest,
            folder=str(self.data.folder.resolve()),
            measured_by=_encoder(self.version) if self.version.encoder else "",
        )
        return Outcomes(source=source, items=self.items)


def evaluate(reference: str, data: Prepared, split: str = "test") -> list[Measurement]:
    """Measure a version on one split and log measurements and outcomes to its run and card.

    Args, Returns, Raises: as for `measure` and `log`.
    """
    evaluation = measure(reference, data, split)
    log(evaluation)
    return evaluation.rows


def measure(reference: str, data: Prepared, split: str = "test") -> Evaluation:
    """Measure a version on one split; nothing is logged.

    Args:
        reference: NAME, NAME@alias or NAME/version.
        data: a prepared set.
        split: train, validation or test.

    Raises:
        RecipeError: the set has no face, label, triplet or person to measure this model on.
        RegistryError: there is no such version, or the store does not answer.
    """
    version = versions.resolve(reference)
    if "picture" in version.outputs:
        rows, items = _transfers(version, data, split)
    else:
        rows, items = _face_outputs(version, data, split)
    if not rows:
        raise RecipeError(
            f"{data.name} holds nothing in split {split} that {version.name} can be measured on."
        )
    return Evaluation(version=version, data=data, split=split, rows=rows, items=items)


def log(evaluation: Evaluation) -> None:
    """Log measurements and outcomes to the run and the card of the version.

    Raises:
        RegistryError: the version or its run was deleted meanwhile, or the store does not answer;
            the results are kept in a file, which the message names.
    """
    version, rows = evaluation.version, evaluation.rows
    try:
        annotate(version, rows, evaluation.outcomes)
        refresh(version)
    except RegistryError as error:
        kept = _keep(evaluation)
        raise type(error)(f"{error} The results are kept in {kept}.") from error


def _keep(evaluation: Evaluation) -> Path:
    """Write the measurements to a JSON file in the folder of log files, and return its path."""
    version, folder = evaluation.version, logs.folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{version.name}-{version.number}-{evaluation.outcomes.source.name}.json"
    with atomic_write(path) as part:
        part.write_text(json.dumps(to_rows(evaluation.rows), indent=1), encoding="utf-8")
    return path


def _encoder(version: Version) -> str:
    """Return the digest of the network that a generator's transfers are measured by."""
    config = versions.config(f"{version.name}/{version.number}")
    return str(config.get("encoder", {}).get("sha256", ""))


def _transfers(version: Version, data: Prepared, split: str) -> Measured:
    """Measure a generator: the means of its transfers' metrics, and their number."""
    model = versions.load(version)
    trials = TransferValidation.of([data], split, version.crop, each=TRANSFERS)
    items = trials.items(lambda faces, change: model(faces, change)["picture"], model.encode)
    if items.empty:
        return [], items
    means = items.mean(numeric_only=True).dropna()
    values = {str(metric): float(value) for metric, value in means.items()}
    values["transfers"] = float(len(items))
    return [
        Measurement(split=split, set=data.name, metric=metric, value=value)
        for metric, value in values.items()
    ], items


def _face_outputs(version: Version, data: Prepared, split: str) -> Measured:
    """Measure an embedding or a classifier, its robustness and its latency."""
    network, crop = GraphModule(versions.load(version)), version.crop
    if "logits" in version.outputs:
        rows, items = _emotions(network, version, data, split)
    else:
        metrics = evaluate_embedding(network, data, crop, split)
        rows, items = metrics.measurements(intervals=True) + _counts(metrics), metrics.items
    if rows:
        rows = [*rows, *robustness(network, data, split, crop), *latency(network, crop)]
    return rows, items


def _counts(metrics: EmbeddingMetrics) -> list[Measurement]:
    """Return the number of triplets of each triplet accuracy."""
    return [
        Measurement(
            split=metrics.split,
            set=metrics.set,
            metric="triplets",
            group=quantity.group,
            value=float(len(estimate.right)),
        )
        for quantity, estimate in metrics.estimates.items()
        if quantity.metric == TRIPLET_ACCURACY and isinstance(estimate, TripletAccuracy)
    ]


def _emotions(network: nn.Module, version: Version, data: Prepared, split: str) -> Measured:
    emotion = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)
    faces = data.split(split)
    faces = faces[emotion[faces] < len(version.labels)]
    if not len(faces):
        return [], pd.DataFrame()
    logits = torch.from_numpy(outputs(network, data, faces, version.crop)["logits"])
    truth = torch.from_numpy(emotion[faces]).long()
    best = logits.softmax(1).max(1)
    labels = np.array(version.labels)
    items = pd.DataFrame(
        {
            "name": data.index["name"].to_numpy()[faces],
            "person": data.index["person"].to_numpy()[faces],
            "emotion": labels[truth.numpy()],
            "answer": labels[best.indices.numpy()],
            "probability": best.values.numpy(),
        }
    )
    rows = [
        *emotion_measurements(logits, truth, split=split, of_set=data.name),
        *_recalls(items, data, split),
        Measurement(split=split, set=data.name, metric="faces", value=float(len(faces))),
        *_by_majority(logits, data, faces, split),
        *_balanced(logits, truth, version, data.name, split),
    ]
    return rows, items


def _balanced(
    logits: torch.Tensor, truth: torch.Tensor, version: Version, of_set: str, split: str
) -> list[Measurement]:
    """Measure the answers for equally likely labels; none without a class prior."""
    if not version.class_prior:
        return []
    prior = torch.tensor([version.class_prior[label] for label in version.labels])
    rows = emotion_measurements(
        balanced_logits(logits, prior), truth, split=split, of_set=of_set, protocol="balanced"
    )
    return [row for row in rows if row.metric in ("accuracy", "mean_recall")]


def _recalls(items: pd.DataFrame, data: Prepared, split: str) -> list[Measurement]:
    right = items["answer"] == items["emotion"]
    return [
        Measurement(
            split=split,
            set=data.name,
            metric="recall",
            group=f"emotion: {label}",
            value=float(recall),
        )
        for label, recall in right.groupby(items["emotion"]).mean().items()
    ]


def _by_majority(
    logits: torch.Tensor, data: Prepared, faces: np.ndarray, split: str
) -> list[Measurement]:
    """Measure on the faces with a majority label, FER+'s second protocol."""
    truth = votes.majority(data.index.iloc[faces])
    agreed = ~np.isnan(truth)
    if not agreed.any():
        return []
    labels = torch.from_numpy(truth[agreed]).long()
    rows = emotion_measurements(
        logits[agreed], labels, split=split, of_set=data.name, protocol="majority"
    )
    count = float(agreed.sum())
    return [
        *(row for row in rows if row.metric != "macro_f1"),
        Measurement(split=split, set=data.name, metric="faces", value=count, protocol="majority"),
    ]
