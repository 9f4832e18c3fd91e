"""Faces cut from whole photos at the boxes that a set gives, each in a small picture of its own."""

import hashlib
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from registry.photos import SMALLEST_SIDE_PX
from training.datasets.crop import LARGEST_PX, TINY_PX, WIDEST
from training.datasets.prepared import PreparedError

MARGIN = 0.8
"""What an excerpt's square adds to the longer side of its box: 40 % on each side, enough for a
crop as wide as WIDEST of a head that is tilted by 20 degrees. Where no face is found, that side
counts as the bare face's."""
LARGEST_EXCERPT_PX = math.ceil(LARGEST_PX * (1 + MARGIN) / (1 + WIDEST))
SUFFIXES = (".jpg", ".png")
Box = tuple[float, float, float, float]
"""Left, right, top, bottom in fractions of the photo's width and height, as FEC has them."""


@dataclass(frozen=True)
class FaceCrops:
    """A folder of excerpts; a member is the address of a face: that of its photo, and its box."""

    folder: Path

    def read(self, member: str) -> bytes:
        """Return the bytes of a face's excerpt.

        Raises:
            PreparedError: there is none.
        """
        for suffix in SUFFIXES:
            path = self.folder / f"{name_of(member)}{suffix}"
            if path.exists():
                return path.read_bytes()
        raise PreparedError(f"There is no excerpt of {member}; run the same command again.")

    def names(self) -> set[str]:
        """Return the names of the faces that are there; halves of a killed run go."""
        names = set()
        for file in os.scandir(self.folder):
            if file.name.endswith(".part"):
                Path(file).unlink()
            elif file.name.endswith(SUFFIXES) and file.stat().st_size:
                names.add(Path(file.name).stem)
        return names

    def write(self, name: str, photo: UInt8[np.ndarray, "h w 3"], box: Box) -> None:
        """Cut a face out and keep it, in one step."""
        pixels, content = excerpt(photo, box), io.BytesIO()
        tiny = pixels.width <= TINY_PX
        if tiny:
            pixels.save(content, "PNG", compress_level=1)
        else:
            pixels.save(content, "JPEG", quality=95)
        half = self.folder / f"{name}.part"
        half.write_bytes(content.getvalue())
        half.replace(half.with_suffix(".png" if tiny else ".jpg"))


def member_of(address: str, box: Box) -> str:
    """Return a face's own address: equal for equal photos and boxes."""
    return "|".join([address, *map(repr, box)])


def name_of(member: str) -> str:
    """Return the short name of a face's address."""
    return hashlib.sha256(member.encode()).hexdigest()[:16]


def excerpt(photo: UInt8[np.ndarray, "h w 3"], box: Box) -> Image.Image:
    """Return the square around a box, in its middle; outside the photo its edge is repeated."""
    largest = max(_sides(photo, box)) * (1 + MARGIN)
    coarser = max(1, int(largest / (2 * LARGEST_EXCERPT_PX)))
    near = np.asarray(Image.fromarray(photo).reduce(coarser))
    height, width = near.shape[:2]
    side = max(1, round(max(_sides(near, box)) * (1 + MARGIN)))
    left = round((box[0] + box[1]) / 2 * width - side / 2)
    top = round((box[2] + box[3]) / 2 * height - side / 2)
    columns = np.arange(left, left + side).clip(0, width - 1)
    rows = np.arange(top, top + side).clip(0, height - 1)
    square = Image.fromarray(near.take(rows, 0).take(columns, 1))
    size = min(max(side, SMALLEST_SIDE_PX), LARGEST_EXCERPT_PX)
    return square if size == side else square.resize((size, size), Image.Resampling.LANCZOS)


def _sides(photo: UInt8[np.ndarray, "h w 3"], box: Box) -> tuple[float, float]:
    height, width = photo.shape[:2]
    return (box[1] - box[0]) * width, (box[3] - box[2]) * height
