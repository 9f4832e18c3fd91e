"""A small set in FER+'s layout: coloured noise, so that any change of a picture shows."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from training.datasets.readers import ferplus

SIDE_PX = 48
TRAIN = [f"fer{number:07d}" for number in range(24)]
LISTED = ferplus.triplets().query("split == 'validation'").head(4)
"""The first fixed triplets; a set of their faces holds these and a few other fixed triplets."""
VALIDATION = sorted(set(LISTED[["name_1", "name_2", "name_3"]].to_numpy().ravel()))
TEST = ["fer0035000", "fer0035001"]
NAMES = {"FER2013Train": TRAIN, "FER2013Valid": VALIDATION, "FER2013Test": TEST}


def picture(name: str) -> np.ndarray:
    """Return the picture of that name, HWC uint8 RGB."""
    rng = np.random.default_rng(int(name.removeprefix("fer")))
    return rng.integers(256, size=(SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def source(folder: Path, names: Mapping[str, Sequence[str]] = NAMES) -> Path:
    """Write pictures and labels, each face with ten votes for one emotion, and return `folder`."""
    for part, listed in names.items():
        (folder / part).mkdir(parents=True)
        with (folder / part / "label.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            for number, name in enumerate(listed):
                Image.fromarray(picture(name)).save(folder / part / f"{name}.png")
                votes = [10 if emotion == number % 8 else 0 for emotion in range(10)]
                rows.writerow([f"{name}.png", "(0, 0, 48, 48)", *votes])
    return folder
