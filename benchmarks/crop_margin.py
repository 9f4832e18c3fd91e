"""How FER+ crops its faces, and whether FaceCropper crops those of photos alike.

    python benchmarks/crop_margin.py ../shared/data

FER+ pictures are crops already: the face that FaceCropper finds in one tells its margin (the
picture's side over the face's, minus one) and where eyes and mouth lie, as parts of the side.
Photos are cropped with FERPLUS_MARGIN, made 48 px and grey like FER+, and measured in the same
way, so that the detector's errors in tight pictures are in every row. Medians, with half of the
distance between the quartiles; pictures drawn with seed 0.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from zipfile import ZipFile

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from registry.catalog import FERPLUS_MARGIN
from registry.crops import CropSpec
from registry.faces import FaceCropper
from registry.photos import read_photo

FERPLUS_PX = 48
MEASURED_PX = 192
COLUMNS = ("margin", "eye distance", "eyes, down", "mouth, down", "centre, down", "centre, right")


def main(data: Path, limit: int) -> None:
    """Measure and print a row for each data set."""
    cropper = FaceCropper()
    ferplus = list(_pictures(data / "ferplus.zip", "FER2013Train/", limit))
    rows = {"FER+ as it is": [_measure(picture, cropper) for picture in ferplus]}
    for name in ("lfw_emotion.zip", "london"):
        cut = [_like_ferplus(photo, cropper) for photo in _pictures(data / name, "images/", limit)]
        rows[f"{Path(name).stem}, cut"] = [
            None if crop is None else _measure(crop, cropper) for crop in cut
        ]
    table = Table("faces", "found", *COLUMNS, title=f"FERPLUS_MARGIN = {FERPLUS_MARGIN}")
    for name, measured in rows.items():
        found = np.array([each for each in measured if each is not None])
        table.add_row(
            name, f"{len(found):,} of {len(measured):,}", *map(_median_and_spread, found.T)
        )
    Console(file=sys.stdout, width=150).print(table)


def _pictures(path: Path, folder: str, limit: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    names = _names(path, folder)
    drawn = Random(0).sample(names, min(limit, len(names)))  # noqa: S311
    archive = None if path.is_dir() else ZipFile(path)
    for name in track(drawn, description=path.stem, console=Console(stderr=True)):
        yield read_photo(archive.read(name) if archive else path / name)


def _names(path: Path, folder: str) -> list[str]:
    if path.is_dir():
        return sorted(file.name for file in path.glob("*.jpg"))
    inside = ZipFile(path).namelist()
    return sorted(n for n in inside if n.startswith(folder) and n.endswith((".png", ".jpg")))


def _like_ferplus(
    photo: UInt8[np.ndarray, "h w 3"], cropper: FaceCropper
) -> UInt8[np.ndarray, "48 48 3"] | None:
    faces = cropper.faces(photo)
    if len(faces) != 1:
        return None
    spec = CropSpec(size_px=FERPLUS_PX, margin=FERPLUS_MARGIN)
    crop = Image.fromarray(cropper.crop(photo, faces[0], spec).pixels)
    return np.array(crop.convert("L").convert("RGB"))


def _measure(
    picture: UInt8[np.ndarray, "48 48 3"], cropper: FaceCropper
) -> Float[np.ndarray, "6"] | None:
    """Return COLUMNS of a picture, None where not exactly one face is found."""
    larger = Image.fromarray(picture).resize((MEASURED_PX, MEASURED_PX))
    faces = cropper.faces(np.array(larger))
    if len(faces) != 1:
        return None
    right_eye, left_eye, _, mouth, *_ = faces[0].keypoints / MEASURED_PX
    apart, down = np.linalg.norm(left_eye - right_eye), (left_eye + right_eye)[1] / 2
    x, y = np.array(faces[0].centre) / MEASURED_PX
    return np.array([MEASURED_PX / faces[0].side - 1, apart, down, mouth[1], y, x])


def _median_and_spread(values: Float[np.ndarray, "pictures"]) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.3f} ± {(high - low) / 2:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with ferplus.zip, lfw_emotion.zip, london/")
    parser.add_argument("--limit", type=int, default=3000, help="pictures of a data set")
    arguments = parser.parse_args()
    main(arguments.data, arguments.limit)
