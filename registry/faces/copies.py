"""The copies and parts of a photo in which detectors look for faces."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from registry.faces.detectors import FAR_INPUT_PX, DetectorInput

LONGEST_PX = 640
"""Longest side of the copy of a whole photo."""
GREY = 128
TILE_PX = 440
"""Side of the smallest tiles, in pixels of the photo; FAR finds faces of 40 px in them."""
MOST_PIXELS = 12_600_000
"""Of larger photos the smallest tiles are larger, so that there are no more of them."""
OVERLAP = 1 / 10
"""Part of a tile that the next one covers again: faces of up to that size are whole in one."""


def whole(photo: UInt8[np.ndarray, "h w 3"]) -> DetectorInput:
    """Return a copy of a photo of at most LONGEST_PX a side; a small photo itself."""
    return _scaled(photo, LONGEST_PX / max(photo.shape[:2]), reducing_gap=2.0)


def framed(copy: DetectorInput) -> DetectorInput:
    """Return a copy with a grey border of half its sides: a face that fills it gets smaller."""
    height, width = copy.pixels.shape[:2]
    down, right = round(height / 2), round(width / 2)
    pixels = np.pad(copy.pixels, ((down, down), (right, right), (0, 0)), constant_values=GREY)
    return DetectorInput(pixels, composed(copy.to_photo, _shift(-right, -down)))


def tile_copies(photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectorInput]:
    """Return copies to cut into tiles: in each, faces have another size; none of a small photo."""
    height, width = photo.shape[:2]
    side = TILE_PX * max(1.0, math.sqrt(height * width / MOST_PIXELS))
    copies: list[DetectorInput] = []
    while side < max(height, width) and max(height, width) > LONGEST_PX:
        copies.append(_scaled(photo, FAR_INPUT_PX / side, reducing_gap=1.0))
        side *= 2
    return copies


def tiles(copy: DetectorInput) -> list[DetectorInput]:
    """Return overlapping tiles of a copy, as large as what FAR's network takes."""
    return [
        DetectorInput(
            np.ascontiguousarray(copy.pixels[top : top + FAR_INPUT_PX, left : left + FAR_INPUT_PX]),
            composed(copy.to_photo, _shift(left, top)),
        )
        for top in _starts(copy.pixels.shape[0])
        for left in _starts(copy.pixels.shape[1])
    ]


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


def _shift(right: int, down: int) -> Float[np.ndarray, "2 3"]:
    return np.array([[1.0, 0.0, float(right)], [0.0, 1.0, float(down)]])


def _scaled(photo: UInt8[np.ndarray, "h w 3"], scale: float, reducing_gap: float) -> DetectorInput:
    height, width = photo.shape[:2]
    if scale >= 1:
        return DetectorInput(photo, _shift(0, 0))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    copy = Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=reducing_gap)
    to_photo = np.array([[width / size[0], 0.0, 0.0], [0.0, height / size[1], 0.0]])
    return DetectorInput(np.array(copy), to_photo)


def _starts(length: int) -> Iterator[int]:
    """Yield where tiles begin that cover a side evenly."""
    rest = max(0, length - FAR_INPUT_PX)
    steps = 1 + math.ceil(rest / (FAR_INPUT_PX * (1 - OVERLAP)))
    yield from np.linspace(0, rest, steps).astype(int).tolist()
