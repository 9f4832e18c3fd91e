"""Squares of pixels cut out of photos, and the way back into the photo."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

BAND_ROWS = 64
"""Rows of a reduced picture that are made at a time."""


@dataclass(frozen=True, kw_only=True)
class CropSpec:
    """How a face is cut from a photo: as a square of `size_px` a side.

    `margin` is the part by which its sides are longer than those of the bare face's square (0: the
    bare face, 0.3: 30 % longer). `roll` turns the picture so that the eyes are level.
    """

    size_px: int
    margin: float
    roll: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop:
    """A face cut out: RGB pixels, and the affine map back into the photo.

    `to_photo` maps a crop's (x, y, 1) to the photo's (x, y), pixel centres at half numbers.
    """

    pixels: UInt8[np.ndarray, "size size 3"]
    spec: CropSpec
    to_photo: Float[np.ndarray, "2 3"]


def level_square(
    photo: UInt8[np.ndarray, "h w 3"],
    centre: tuple[float, float],
    length: float,
    degrees: float,
    size: int,
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "2 3"]]:
    """Return a turned square of a photo, made level, and its map to the photo as in `Crop`.

    Args:
        photo: RGB pixels; outside them its edge is repeated.
        centre: x and y of the square's centre in the photo.
        length: side of the square in pixels of the photo.
        degrees: how far the square is turned, clockwise.
        size: side of the result in pixels.
    """
    angle, scale, half = math.radians(degrees), length / size, size / 2
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    x, y = centre
    to_photo = np.array([[cos, -sin, x - (cos - sin) * half], [sin, cos, y - (sin + cos) * half]])
    return warped(photo, to_photo, size), to_photo


def warped(
    photo: UInt8[np.ndarray, "h w 3"], to_photo: Float[np.ndarray, "2 3"], size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Return a square of a photo through an affine map; when shrinking, pixels are averaged first.

    Args:
        photo: RGB pixels; outside them its edge is repeated.
        to_photo: maps the result's (x, y, 1) to the photo's (x, y), pixel centres at half numbers.
        size: side of the result.
    """
    scale = math.hypot(to_photo[0, 0], to_photo[1, 0])
    coarser = max(1, int(scale / 4))  # photo pixels averaged beforehand, in each direction
    finer = max(1, math.ceil(scale / coarser))  # samples in each direction, averaged afterwards
    corners = to_photo @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    low = np.floor(corners.min(1)).astype(int) - 2 * coarser
    high = low + coarser * np.ceil((corners.max(1) - low) / coarser + 2).astype(int)
    part = reduced(_edge_repeated(photo, low, high), (coarser, coarser))
    inner = (to_photo - np.array([[0, 0, low[0]], [0, 0, low[1]]])) / coarser
    inner[:, :2] /= finer
    cut = part.transform(
        (size * finer, size * finer),
        Image.Transform.AFFINE,
        tuple(inner.ravel().tolist()),
        Image.Resampling.BICUBIC if scale < 1 else Image.Resampling.BILINEAR,
    )
    return np.array(cut.reduce(finer))


def reduced(
    pixels: UInt8[np.ndarray, "h w 3"],
    factors: tuple[int, int],
    each: Callable[..., Iterable[np.ndarray]] = map,
) -> Image.Image:
    """Return what `Image.reduce` makes of RGB pixels, by bands of rows: their memory is used again.

    Args:
        pixels: the picture.
        factors: how many pixels become one, in width and in height.
        each: applies a function to each band; one that uses threads is faster.
    """
    if factors == (1, 1):
        return Image.fromarray(np.ascontiguousarray(pixels))
    rows = BAND_ROWS * factors[1]
    bands = [pixels[top : top + rows] for top in range(0, len(pixels), rows)]
    return Image.fromarray(
        np.concatenate(list(each(lambda band: _reduced_band(band, factors), bands)))
    )


def _reduced_band(
    pixels: UInt8[np.ndarray, "h w 3"], factors: tuple[int, int]
) -> UInt8[np.ndarray, "a b 3"]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).reduce(factors))


def _edge_repeated(
    photo: UInt8[np.ndarray, "h w 3"], low: np.ndarray, high: np.ndarray
) -> UInt8[np.ndarray, "a b 3"]:
    """Return the pixels from `low` (x, y) to `high`, also where they are outside the photo."""
    height, width = photo.shape[:2]
    columns = np.arange(low[0], high[0]).clip(0, width - 1)
    rows = np.arange(low[1], high[1]).clip(0, height - 1)
    part: np.ndarray = photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if part.shape[:2] != (len(rows), len(columns)):
        part = part.take(rows - rows[0], 0).take(columns - columns[0], 1)
    return part


def recut(
    pixels: UInt8[np.ndarray, "s s 3"], stored_margin: float, spec: CropSpec
) -> UInt8[np.ndarray, "size size 3"]:
    """Return another crop out of a stored one, whose eyes are level and whose margin is known.

    A wider crop than the stored one repeats its edge.
    """
    side = pixels.shape[0]
    length = side * (1 + spec.margin) / (1 + stored_margin)
    if length > side:
        around = math.ceil((length - side) / 2)
        pixels = np.pad(pixels, ((around, around), (around, around), (0, 0)), mode="edge")
    start = (pixels.shape[0] - length) / 2
    box = (start, start, start + length, start + length)
    size = (spec.size_px, spec.size_px)
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=box))


def to_tensor(crops: Sequence[UInt8[np.ndarray, "size size 3"]]) -> "Float[Tensor, 'batch 3 h w']":
    """Return crops as RGB in [0, 1]."""
    import torch

    return torch.from_numpy(to_array(crops))


def to_array(
    crops: Sequence[UInt8[np.ndarray, "size size 3"]],
) -> Float[np.ndarray, "batch 3 size size"]:
    """Return crops as RGB in [0, 1], float32."""
    channels_first = np.stack(crops).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels_first, np.float32) / np.float32(255)
