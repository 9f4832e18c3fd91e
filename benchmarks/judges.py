"""Ready-made peers and our versions in production, asked the same triplets about the same faces.

    python benchmarks/judges.py ../shared/data data/ferplus data/lfw-emotion data/london

A row for each measure and set, a column for each judge, 95 % intervals by bootstrap over photos or
persons:

- dln: the version in production.
- softmax: the square root of the softmax of the emotion classifier in production.
- blendshapes: MediaPipe's 52, compared by their plain Euclidean distance, which did better than
  standardised ones; a face in which it finds no landmarks gets the mean of the others.
- identity: mobilefacenet, the identity network our compact one was distilled from.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from registry import versions
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule
from training.metrics.embedding import EmbeddingMetrics, estimated, evaluate_embedding, needed
from training.metrics.estimates import Estimate
from training.models.identity.teacher import teacher_embeddings

LANDMARKER = Path("weights/face_landmarker_v2_with_blendshapes.task")
TEACHER = Path("weights/mobilefacenet.onnx")
SEEN_PX = 256
MEASURES = (
    *("triplet_accuracy_one_class", "triplet_accuracy_two_class", "triplet_accuracy_three_class"),
    *("adversarial", "three_people", "leak_auc", "leak_auc_alike"),
)
Look = Callable[[Image.Image], Float[np.ndarray, "52"] | float]
Said = Mapping[str, EmbeddingMetrics]
"""What each judge reaches on one set."""


def main(shared: Path, folders: list[Path], split: str) -> None:
    """Ask every judge about every set and print the table."""
    torch.set_flush_denormal(True)
    found = {folder.name: ask(shared, Prepared.open(folder), split) for folder in folders}
    head, *rows = cells(found)
    table = Table(*head, title=f"{split}, share right or AUC, 95 % interval")
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout, width=130).print(table)


def ask(shared: Path, data: Prepared, split: str) -> Said:
    """Return what every judge reaches on a set."""
    vectors = {
        "blendshapes": _blendshapes(shared / LANDMARKER, data, split),
        "identity": teacher_embeddings(data, shared / TEACHER),
    }
    return {
        "dln": _served("dln@production", data, split),
        "softmax": _served("emotion@production", data, split),
    } | {
        name: EmbeddingMetrics(*estimated(each, data, split), {}) for name, each in vectors.items()
    }


def cells(found: Mapping[str, Said]) -> list[list[str]]:
    """Return the table, its head first: a row for each set and measure, a column for each judge."""
    rows = [
        [f"{name} {measure}", *(told(each.estimates[measure]) for each in said.values())]
        for name, said in found.items()
        for measure in MEASURES
        if measure in said["dln"].estimates
    ]
    return [["", *next(iter(found.values()))], *rows]


def told(estimate: Estimate) -> str:
    """Return a number with its interval."""
    low, high = estimate.interval()
    return f"{estimate.value:.3f} ({low:.3f} to {high:.3f})"


def _served(reference: str, data: Prepared, split: str) -> EmbeddingMetrics:
    version = versions.resolve(reference)
    return evaluate_embedding(GraphModule(versions.load(version)), data, version.crop, split)


def _blendshapes(model: Path, data: Prepared, split: str) -> Float[np.ndarray, "faces 52"]:
    rows, vectors = needed(data, split), np.full((len(data.index), 52), np.nan)
    with blendshapes(model) as look:
        for row in track(rows, description=f"Blendshapes of {data.name}", console=_stderr()):
            with Image.open(data.folder / data.index["path"][row]) as crop:
                vectors[row] = look(crop)
    lost = rows[np.isnan(vectors[rows]).any(1)]
    vectors[lost] = np.nanmean(vectors[rows], axis=0)
    print(f"{data.name}: no landmarks in {len(lost)} of {len(rows)} faces", file=sys.stderr)
    return vectors


@contextmanager
def blendshapes(model: Path) -> Iterator[Look]:
    """Give what tells the 52 blendshapes of a cut face; not a number where it finds none."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), output_face_blendshapes=True
    )

    def look(crop: Image.Image) -> Float[np.ndarray, "52"] | float:
        size = max(SEEN_PX, crop.width)
        larger = crop.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels: UInt8[np.ndarray, "h w 3"] = np.array(larger)
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        found = landmarker.detect(picture).face_blendshapes
        return np.array([shape.score for shape in found[0]]) if found else np.nan

    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        yield look


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
