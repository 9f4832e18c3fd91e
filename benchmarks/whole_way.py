"""The versions in production on photos, from end to end: photo, cropper, network.

    python benchmarks/whole_way.py ../shared/data/lfw_emotion.zip ../shared/data/london

For each source, on its test persons: how often the emotion is named correctly, and how often the
pair that shares a label is the nearest of three people's photos (1,000 triplets drawn with seed
0; two with one label, the third with another; chance is 33 %). A photo without a found face counts
as wrong. The lfw-emotion labels are mostly one person's opinion.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from registry import versions
from registry.crops import to_tensor
from registry.faces import FaceCropper
from registry.photos import PhotoError, read_photo
from training.datasets.readers import lfw_emotion, london
from training.datasets.source import PictureRecord, RawDataset

TRIPLETS = 1000


def main(sources: Sequence[Path]) -> None:
    """Measure on every source and print a table."""
    torch.set_flush_denormal(True)
    emotion, dln = versions.load("emotion@production"), versions.load("dln@production")
    title = f"emotion version {emotion.version.number}, dln version {dln.version.number}"
    table = Table("photos of", "photos", "no face", "emotion right", "triplets right", title=title)
    for path in sources:
        reader = london if path.is_dir() and (path / "info.csv").exists() else lfw_emotion
        pictures, logits, vectors = _answers(reader.read(path), emotion, dln)
        truth = np.array([p.emotion for p in pictures])
        found = ~np.isnan(logits).any(1)
        right = found & (np.where(found[:, None], logits, 0).argmax(1) == truth)
        triplets = _triplets_right(pictures, truth, vectors)
        name = path.stem
        table.add_row(
            name, f"{len(pictures)}", f"{(~found).sum()}", f"{right.mean():.1%}", f"{triplets:.1%}"
        )
    Console(file=sys.stdout, width=100).print(table)


def _answers(
    reading: RawDataset, emotion: versions.ProductionModel, dln: versions.ProductionModel
) -> tuple[list[PictureRecord], np.ndarray, np.ndarray]:
    cropper = FaceCropper()
    chosen = [p for p in reading.pictures if p.split == "test" and p.emotion is not None]
    logits = np.full((len(chosen), len(emotion.version.labels)), np.nan)
    vectors = np.full((len(chosen), 16), np.nan)
    for row, picture in enumerate(track(chosen, description="Looking at photos")):
        try:
            photo = read_photo(reading.source.read(picture.member))
            face = cropper.one(photo)
        except PhotoError:
            continue
        crops = [cropper.crop(photo, face, m.version.crop).pixels for m in (emotion, dln)]
        logits[row] = emotion(to_tensor(crops[:1]))["logits"][0].numpy()
        vectors[row] = dln(to_tensor(crops[1:]))["expression"][0].numpy()
    return chosen, logits, vectors


def _triplets_right(pictures: list[PictureRecord], truth: np.ndarray, vectors: np.ndarray) -> float:
    random = np.random.default_rng(0)
    person = np.array([p.person for p in pictures])
    right = drawn = 0
    while drawn < TRIPLETS:
        first, second = random.choice(np.unique(truth), size=2, replace=False)
        a, p = random.choice(np.flatnonzero(truth == first), size=2)
        n = random.choice(np.flatnonzero(truth == second))
        if len({person[a], person[p], person[n]}) == 3:
            near, *far = (
                np.linalg.norm(vectors[i] - vectors[j]) for i, j in ((a, p), (a, n), (p, n))
            )
            right += bool(near < min(far))
            drawn += 1
    return right / drawn


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path, nargs="+")
    main(parser.parse_args().sources)
