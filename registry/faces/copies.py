"""The copies and parts of a photo in which detectors look for faces."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from registry.crops import reduced
from registry.faces.detectors import FAR_INPUT_PX, DetectorInput

LONGEST_PX = 640
"""Longest side of the copy of a whole photo."""
GREY = 128
TILE_PX = 440
"""Side of the smallest tiles, in pixels of the photo; FAR finds faces of 40 px in them."""
MOST_PIXELS = 8_600_000
"""Of larger photos the smallest tiles are larger, so that there are no more of them.

In those of 12 megapixels they have 520 px a side: 78 of 80 faces of 40 to 60 px are found in the
crowds of benchmarks/detection.py. With 7,000,000 it is 75, in two thirds of the time.
"""
TILE_SIDES_RATIO = 4
"""How many times as long the sides of the next larger tiles are."""
OVERLAP = 1 / 10
"""Part of a tile that the next one covers again: faces of up to that size are whole in one."""
BLOCK_PX, LEAST_CONTRAST = 4, 12
"""A tile in whose every block of so many pixels a side green differs by less shows no face."""


class Copies:
    """The copies of one photo that detectors get, each made once.

    `each` applies a function to each part of the photo, as `map` does; one that uses threads is
    faster.
    """

    def __init__(
        self, photo: UInt8[np.ndarray, "h w 3"], each: Callable[..., Iterable[np.ndarray]] = map
    ) -> None:
        self._photo, self._each = photo, each
        self._reduced: dict[tuple[int, int], Image.Image] = {}

    @cached_property
    def whole(self) -> DetectorInput:
        """A copy of the photo of at most LONGEST_PX a side; a small photo itself."""
        return self._scaled(LONGEST_PX / max(self._photo.shape[:2]), reducing_gap=2.0)

    @cached_property
    def to_tile(self) -> list[DetectorInput]:
        """Copies to cut into tiles: in each, faces have another size; none of a small photo."""
        longest, pixels = max(self._photo.shape[:2]), math.prod(self._photo.shape[:2])
        side = TILE_PX * max(1.0, math.sqrt(pixels / MOST_PIXELS))
        if longest <= max(LONGEST_PX, side):
            return []
        copies = [self._scaled(FAR_INPUT_PX / side, reducing_gap=1.0)]
        while max(copies[-1].pixels.shape) > TILE_SIDES_RATIO * FAR_INPUT_PX:
            copies.append(_coarser(copies[-1]))
        return copies

    def _scaled(self, scale: float, reducing_gap: float) -> DetectorInput:
        """Return what `Image.resize` makes of the photo by this `reducing_gap`."""
        height, width = self._photo.shape[:2]
        if scale >= 1:
            return DetectorInput(self._photo, _shift(0, 0))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        across, down = width / size[0], height / size[1]
        factors = max(1, int(across / reducing_gap)), max(1, int(down / reducing_gap))
        box = (0.0, 0.0, width / factors[0], height / factors[1])
        copy = self._reduce(factors).resize(size, Image.Resampling.BILINEAR, box)
        return DetectorInput(np.array(copy), _scale(across, down))

    def _reduce(self, factors: tuple[int, int]) -> Image.Image:
        if factors not in self._reduced:
            self._reduced[factors] = reduced(self._photo, factors, self._each)
        return self._reduced[factors]


def framed(copy: DetectorInput) -> DetectorInput:
    """Return a copy with a grey border of half its sides: a face that fills it gets smaller."""
    height, width = copy.pixels.shape[:2]
    down, right = round(height / 2), round(width / 2)
    pixels = np.pad(copy.pixels, ((down, down), (right, right), (0, 0)), constant_values=GREY)
    return DetectorInput(pixels, composed(copy.to_photo, _shift(-right, -down)))


def tiles(copy: DetectorInput) -> list[DetectorInput]:
    """Return overlapping tiles of a copy, as large as what FAR's network takes.

    Those without contrast, such as of sky or a wall, are left out.
    """
    parts = [
        (copy.pixels[top : top + FAR_INPUT_PX, left : left + FAR_INPUT_PX], _shift(left, top))
        for top in _starts(copy.pixels.shape[0])
        for left in _starts(copy.pixels.shape[1])
    ]
    return [
        DetectorInput(np.ascontiguousarray(pixels), composed(copy.to_photo, shift))
        for pixels, shift in parts
        if contrast(pixels) >= LEAST_CONTRAST
    ]


def contrast(pixels: UInt8[np.ndarray, "h w 3"]) -> int:
    """Return the largest difference of green, 0 to 255, in blocks of BLOCK_PX a side."""
    rows, columns = (n // BLOCK_PX for n in pixels.shape[:2])
    green = pixels[: rows * BLOCK_PX, : columns * BLOCK_PX, 1]
    bands = np.ascontiguousarray(green).reshape(rows, BLOCK_PX, columns * BLOCK_PX)
    highest, lowest = (
        band.reshape(rows, columns, BLOCK_PX) for band in (bands.max(1), bands.min(1))
    )
    return int((highest.max(2) - lowest.min(2)).max(initial=0))


def turned(copy: DetectorInput, quarters: int) -> DetectorInput:
    """Return a copy turned anticlockwise by quarters of a circle: what lay clockwise is upright."""
    to_photo, size = copy.to_photo, copy.pixels.shape[:2]
    for _ in range(quarters):
        to_photo = composed(to_photo, np.array([[0.0, -1.0, size[1]], [1.0, 0.0, 0.0]]))
        size = size[::-1]
    return DetectorInput(np.ascontiguousarray(np.rot90(copy.pixels, quarters)), to_photo)


def composed(
    last: Float[np.ndarray, "2 3"], first: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "2 3"]:
    """Return the affine map that is `last` after `first`."""
    return np.column_stack([last[:, :2] @ first[:, :2], last[:, :2] @ first[:, 2] + last[:, 2]])


def _coarser(copy: DetectorInput) -> DetectorInput:
    pixels = np.array(Image.fromarray(copy.pixels).reduce(TILE_SIDES_RATIO))
    scale = _scale(float(TILE_SIDES_RATIO), float(TILE_SIDES_RATIO))
    return DetectorInput(pixels, composed(copy.to_photo, scale))


def _shift(right: int, down: int) -> Float[np.ndarray, "2 3"]:
    return np.array([[1.0, 0.0, float(right)], [0.0, 1.0, float(down)]])


def _scale(across: float, down: float) -> Float[np.ndarray, "2 3"]:
    return np.array([[across, 0.0, 0.0], [0.0, down, 0.0]])


def _starts(length: int) -> Iterator[int]:
    """Yield where tiles begin that cover a side evenly."""
    rest = max(0, length - FAR_INPUT_PX)
    steps = 1 + math.ceil(rest / (FAR_INPUT_PX * (1 - OVERLAP)))
    yield from np.linspace(0, rest, steps).astype(int).tolist()
