"""How often answers given as sure are wrong, by the threshold: where NOT_SURE_BELOW comes from.

    python benchmarks/emotion_threshold.py ../shared/data data/ferplus data/lfw-emotion data/london

An answer is sure where the likeliest emotion has at least the threshold's probability. Each row
holds a set's faces and a threshold: the share of them that gets a sure answer, and the share of
those answers that is wrong, with its 95 % interval by bootstrap over faces. The last line names the
lowest threshold at which that interval stays below MOST_WRONG on the validation faces of every set
with at least FEWEST of them. sfhq holds synthetic people, found by the words that they were asked
for: rough labels, and faces of a kind that no training knew.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table

from registry import versions
from registry.catalog import EMOTIONS
from registry.crops import to_array
from registry.faces import FaceCropper
from registry.metrics.bootstrap import cluster_weights
from registry.metrics.estimates import PERCENTILES
from registry.photos import read_photo
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs

MOST_WRONG, FEWEST = 0.15, 100
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(8, 19))
ASKED_FOR = {"angry": "anger", "surprised": "surprise", "smiling": "happy", "sad": "sad"}
"""The words that sfhq's people were asked for by, and the emotions they mean."""
Answers = tuple[Float[np.ndarray, "faces"], Bool[np.ndarray, "faces"]]
"""The likeliest emotion's probability, and whether it is the label."""


def main(shared: Path, folders: list[Path], reference: str) -> None:
    """Measure the sets' validation and test faces, and sfhq, and print the table."""
    model = versions.load(reference, "cpu")
    measured = dict(_prepared(model, folders))
    measured["sfhq", "asked for"] = _synthetic(model, shared / "sfhq")
    table = Table("faces", "threshold", "sure", "wrong")
    for (name, split), answers in measured.items():
        for threshold in THRESHOLDS:
            title = f"{name}, {split}: {len(answers[0]):,}"
            table.add_row(title, f"{threshold:.2f}", *_cells(answers, threshold))
    console = Console(file=sys.stdout, width=100)
    console.print(table)
    validation = [each for (_, split), each in measured.items() if split == "validation"]
    validation = [each for each in validation if len(each[0]) >= FEWEST]
    reached = (
        t for t in THRESHOLDS if all(_wrong(*each, t)[2] < MOST_WRONG for each in validation)
    )
    console.print(f"Lowest threshold with less than {MOST_WRONG:.0%} wrong: {next(reached, None)}")


def _prepared(
    model: versions.ProductionModel, folders: list[Path]
) -> Iterator[tuple[tuple[str, str], Answers]]:
    for data in map(Prepared.open, folders):
        labels = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)
        for split in ("validation", "test"):
            rows = data.split(split)
            rows = rows[~np.isnan(labels[rows])]
            logits = outputs(GraphModule(model), data, rows, model.version.crop)["logits"]
            yield (data.name, split), _answers(logits, labels[rows].astype(int))


def _synthetic(model: versions.ProductionModel, folder: Path) -> Answers:
    cropper, crops, labels = FaceCropper(), [], []
    for path in sorted(folder.rglob("*.jpg")):
        emotion = ASKED_FOR.get(path.stem.partition("_")[0])
        if emotion:
            photo = read_photo(path)
            crops.append(cropper.crop(photo, cropper.one(photo), model.version.crop).pixels)
            labels.append(EMOTIONS.index(emotion))
    return _answers(model(to_array(crops))["logits"], np.array(labels))


def _answers(logits: Float[np.ndarray, "faces labels"], labels: np.ndarray) -> Answers:
    best = torch.from_numpy(logits).softmax(1).max(1)
    return best.values.double().numpy(), best.indices.numpy() == labels


def _wrong(
    probability: Float[np.ndarray, "faces"], right: Bool[np.ndarray, "faces"], threshold: float
) -> tuple[float, float, float]:
    """Return which share of the sure answers is wrong, and its interval."""
    sure = (probability >= threshold).astype(float)
    wrong = sure * ~right
    drawn = np.concatenate(list(cluster_weights(np.arange(len(sure)))))
    low, high = np.nanpercentile(drawn @ wrong / (drawn @ sure), PERCENTILES).tolist()
    return float(wrong.sum() / sure.sum()), low, high


def _cells(answers: Answers, threshold: float) -> tuple[str, str]:
    value, low, high = _wrong(*answers, threshold)
    return f"{(answers[0] >= threshold).mean():.1%}", f"{value:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with the shared data")
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets")
    parser.add_argument("--version", default="emotion@production", help="the classifier")
    arguments = parser.parse_args()
    main(arguments.shared, arguments.folders, arguments.version)
