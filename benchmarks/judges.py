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
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from registry import versions
from training.datasets.index import Prepared
from training.identity.teacher import taught
from training.inference import Served
from training.triplets.estimates import Estimate
from training.triplets.measures import estimated, judge, needed

LANDMARKER = Path("weights/face_landmarker_v2_with_blendshapes.task")
TEACHER = Path("weights/mobilefacenet.onnx")
SEEN_PX = 256
MEASURES = (
    *("triplet_accuracy_one_class", "triplet_accuracy_two_class", "triplet_accuracy_three_class"),
    *("adversarial", "three_people", "leak_auc", "leak_auc_alike"),
)
Judge = Callable[[Prepared, str], Mapping[str, Estimate]]


def main(shared: Path, folders: list[Path], split: str, *, markdown: bool) -> None:
    """Ask every judge about every set and print the table."""
    torch.set_flush_denormal(True)
    judges: dict[str, Judge] = {
        "dln": _served("dln@production"),
        "softmax": _served("emotion@production"),
        "blendshapes": lambda data, of: _blendshapes(shared / LANDMARKER, data, of),
        "identity": lambda data, of: estimated(taught(data, shared / TEACHER), data, of)[0],
    }
    rows = [["", *judges]]
    for folder in folders:
        data = Prepared.open(folder)
        found = {name: ask(data, split) for name, ask in judges.items()}
        for measure in (m for m in MEASURES if m in found["dln"]):
            told = [_told(each[measure]) for each in found.values()]
            rows.append([f"{data.name} {measure}", *told])
    if markdown:
        rows.insert(1, ["---"] * len(rows[0]))
        sys.stdout.write("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
        return
    table = Table(*rows[0], title=f"{split}, share right or AUC, 95 % interval")
    for row in rows[1:]:
        table.add_row(*row)
    Console(file=sys.stdout, width=130).print(table)


def _served(reference: str) -> Judge:
    version = versions.resolve(reference)
    network = Served(versions.load(version))
    return lambda data, split: judge(network, data, version.crop, split).estimates


def _blendshapes(model: Path, data: Prepared, split: str) -> Mapping[str, Estimate]:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), output_face_blendshapes=True
    )
    rows, vectors = needed(data, split), np.full((len(data.index), 52), np.nan)
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for row in track(rows, description=f"Blendshapes of {data.name}", console=_stderr()):
            vectors[row] = _looked_at(landmarker, data.folder / data.index["path"][row])
    lost = rows[np.isnan(vectors[rows]).any(1)]
    vectors[lost] = np.nanmean(vectors[rows], axis=0)
    print(f"{data.name}: no landmarks in {len(lost)} of {len(rows)} faces", file=sys.stderr)
    return estimated(vectors, data, split)[0]


def _looked_at(landmarker: object, path: Path) -> Float[np.ndarray, "52"] | float:
    import mediapipe

    with Image.open(path) as crop:
        size = max(SEEN_PX, crop.width)
        larger = crop.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    pixels: UInt8[np.ndarray, "h w 3"] = np.array(larger)
    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
    found = landmarker.detect(picture).face_blendshapes  # type: ignore[attr-defined]
    return np.array([shape.score for shape in found[0]]) if found else np.nan


def _told(estimate: Estimate) -> str:
    low, high = estimate.interval()
    return f"{estimate.value:.3f} ({low:.3f} to {high:.3f})"


def _stderr() -> Console:
    return Console(stderr=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with weights/")
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    said = parser.parse_args()
    main(said.shared, said.folders, said.split, markdown=said.markdown)
