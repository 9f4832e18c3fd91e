"""Faces cut out of whole photos at the boxes of a set, each in a small picture of its own."""

import hashlib
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from registry.files import atomic_write, remove_unfinished
from registry.photos import SMALLEST_SIDE_PX
from training.datasets.crop import LARGEST_CROP_PX, LARGEST_PNG_PX, WIDEST_MARGIN
from training.datasets.source import MemberError

MARGIN = 0.8
"""Added to the longer side of a box to get the square's side: 40 % on each side, enough for a crop
with WIDEST_MARGIN of a head that is tilted by 20 degrees. If no face is found in the square, the
longer side of the box is taken as the face's side."""
LARGEST_PX = math.ceil(LARGEST_CROP_PX * (1 + MARGIN) / (1 + WIDEST_MARGIN))
SUFFIXES = (".jpg", ".png")
Box = tuple[float, float, float, float]
"""Left, right, top, bottom as fractions of the photo's width and height, as in FEC's files."""


@dataclass(frozen=True)
class FaceCrops:
    """A folder of squares around faces; a member is a key made by `face_key`."""

    folder: Path

    def read(self, member: str) -> bytes:
        """Return the bytes of a face's picture.

        Raises:
            MemberError: there is none.
        """
        for suffix in SUFFIXES:
            path = self.folder / f"{name_of(member)}{suffix}"
            if path.exists():
                return path.read_bytes()
        raise MemberError(
            f"There is no picture of {member}; run the same command again.",
            "the file is damaged or missing",
        )

    def names(self) -> set[str]:
        """Return the names of the faces that have a picture; delete unfinished files."""
        remove_unfinished(self.folder)
        return {
            Path(file.name).stem
            for file in os.scandir(self.folder)
            if file.name.endswith(SUFFIXES) and file.stat().st_size
        }

    def write(self, name: str, photo: UInt8[np.ndarray, "h w 3"], box: Box) -> None:
        """Cut a face out of its photo and write it.

        Args:
            name: the face's name; see `name_of`.
            photo: RGB.
            box: box of the face.

        Raises:
            OSError: it can't be written.
        """
        square, content = cut_square(photo, box), io.BytesIO()
        if square.width <= LARGEST_PNG_PX:
            suffix = ".png"
            square.save(content, "PNG", compress_level=1)
        else:
            suffix = ".jpg"
            square.save(content, "JPEG", quality=95)
        with atomic_write(self.folder / f"{name}{suffix}") as part:
            part.write_bytes(content.getvalue())


def face_key(address: str, box: Box) -> str:
    """Return a key of a face: equal for equal photos and boxes."""
    return "|".join([address, *map(repr, box)])


def name_of(key: str) -> str:
    """Return the short name of a face, from its key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def cut_square(photo: UInt8[np.ndarray, "h w 3"], box: Box) -> Image.Image:
    """Return the square with a box in its centre; outside the photo, edge pixels are repeated."""
    largest = max(_sides(photo, box)) * (1 + MARGIN)
    factor = max(1, int(largest / (2 * LARGEST_PX)))
    reduced = np.asarray(Image.fromarray(photo).reduce(factor))
    height, width = reduced.shape[:2]
    side = max(1, round(max(_sides(reduced, box)) * (1 + MARGIN)))
    left = round((box[0] + box[1]) / 2 * width - side / 2)
    top = round((box[2] + box[3]) / 2 * height - side / 2)
    columns = np.arange(left, left + side).clip(0, width - 1)
    rows = np.arange(top, top + side).clip(0, height - 1)
    square = Image.fromarray(reduced.take(rows, 0).take(columns, 1))
    size = min(max(side, SMALLEST_SIDE_PX), LARGEST_PX)
    return square if size == side else square.resize((size, size), Image.Resampling.LANCZOS)


def _sides(photo: UInt8[np.ndarray, "h w 3"], box: Box) -> tuple[float, float]:
    """Return width and height of a box in pixels."""
    height, width = photo.shape[:2]
    return (box[1] - box[0]) * width, (box[3] - box[2]) * height
