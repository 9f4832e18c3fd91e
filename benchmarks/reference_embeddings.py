"""Ready-made networks and our versions in production, measured on the same triplets and people.

    python benchmarks/reference_embeddings.py ../shared/data data/ferplus data/london

Prints a row for each metric and set, a column for each embedding, with 95 % intervals by bootstrap
over photos or persons:

- dln: the version in production.
- softmax: the square root of the softmax of the emotion classifier in production.
- blendshapes: MediaPipe's 52, compared by their plain Euclidean distance, which did better than
  standardised ones; a face in which it finds no landmarks gets the mean of the others.
- identity: mobilefacenet, the identity network our compact one was distilled from.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from registry import versions
from registry.landmarks import blendshapes
from registry.metrics.estimates import Estimate, Quantity
from training.compare import with_interval
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule
from training.metrics.embedding import (
    EmbeddingMetrics,
    evaluate_embedding,
    evaluate_vectors,
    rows_to_embed,
)
from training.models.identity.teacher import teacher_embeddings

LANDMARKER = Path("weights/face_landmarker_v2_with_blendshapes.task")
TEACHER = Path("weights/mobilefacenet.onnx")
QUANTITIES = (
    Quantity("triplet_accuracy", "one class"),
    Quantity("triplet_accuracy", "two class"),
    Quantity("triplet_accuracy", "three class"),
    Quantity("adversarial"),
    Quantity("three_people"),
    Quantity("leak_auc"),
    Quantity("leak_auc_same_expression"),
)
MetricsByName = Mapping[str, EmbeddingMetrics]
"""The metrics of each embedding on one set, by the embedding's name."""


def main(shared: Path, folders: list[Path], split: str) -> None:
    """Measure every embedding on every set and print the table."""
    torch.set_flush_denormal(True)
    measured = {
        folder.name: measure_embeddings(shared, Prepared.open(folder), split) for folder in folders
    }
    head, *rows = cells(measured)
    table = Table(*head, title=f"{split}, share right or AUC, 95 % interval")
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout, width=130).print(table)


def measure_embeddings(shared: Path, data: Prepared, split: str) -> MetricsByName:
    """Return the metrics of every embedding on one split of a set.

    Args:
        shared: folder with `weights/`.
        data: a prepared set.
        split: train, validation or test.
    """
    vectors = {
        "blendshapes": _blendshapes(shared / LANDMARKER, data, split),
        "identity": teacher_embeddings(data, shared / TEACHER),
    }
    return {
        "dln": _registered("dln@production", data, split),
        "softmax": _registered("emotion@production", data, split),
    } | {name: evaluate_vectors(each, data, split) for name, each in vectors.items()}


def cells(measured: Mapping[str, MetricsByName]) -> list[list[str]]:
    """Return the table, its head first: a row for each set and metric, a column an embedding."""
    rows = [
        [f"{name} {quantity}", *(estimated(e.estimates[quantity]) for e in embeddings.values())]
        for name, embeddings in measured.items()
        for quantity in QUANTITIES
        if quantity in embeddings["dln"].estimates
    ]
    return [["", *next(iter(measured.values()))], *rows]


def estimated(estimate: Estimate) -> str:
    """Return a number with its interval."""
    return with_interval(estimate.value, estimate.interval())


def _registered(reference: str, data: Prepared, split: str) -> EmbeddingMetrics:
    version = versions.resolve(reference)
    return evaluate_embedding(GraphModule(versions.load(version)), data, version.crop, split)


def _blendshapes(model: Path, data: Prepared, split: str) -> Float[np.ndarray, "faces 52"]:
    rows, vectors = rows_to_embed(data, split), np.full((len(data.index), 52), np.nan)
    with blendshapes(model) as measure:
        for row in track(rows, description=f"Blendshapes of {data.name}", console=_stderr()):
            with Image.open(data.folder / data.index["path"][row]) as crop:
                vectors[row] = measure(crop)
    lost = rows[np.isnan(vectors[rows]).any(1)]
    vectors[lost] = np.nanmean(vectors[rows], axis=0)
    print(f"{data.name}: no landmarks in {len(lost)} of {len(rows)} faces", file=sys.stderr)
    return vectors


def _stderr() -> Console:
    return Console(stderr=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with weights/")
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    arguments = parser.parse_args()
    main(arguments.shared, arguments.folders, arguments.split)
