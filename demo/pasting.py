"""A changed crop back in its photo, at the photo's own resolution and with a soft edge.

A crop is a few hundred pixels wide and the face in the photo often larger. So the change is pasted,
not the crop: what the model altered is enlarged smoothly and added, and the photo's finer detail is
taken away only where the face moved, or it would show twice.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

from registry.crops import Crop

EDGE = 0.12
"""Part of the crop's side over which the change fades towards each border."""
MASKED_BELOW = 0.1
"""Mask from which on a change counts in full; it fades to nothing where the mask is 0."""
KEPT_BELOW, MOVED_ABOVE = 6.0, 24.0
"""Levels (of 255) of change up to which the photo's detail stays, and from which on it goes."""
SPREAD_PX = 1.5
ROWS = 256
"""Rows of the photo worked on at a time: a face of 100 megapixels must fit."""


def pasted(
    photo: UInt8[np.ndarray, "h w 3"],
    crop: Crop,
    result: UInt8[np.ndarray, "size size 3"],
    mask: Float[np.ndarray, "size size"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the photo with a crop's change in it; pixels outside the crop stay bit by bit.

    Args:
        photo: What the crop was cut from.
        crop: The face before.
        result: The face after, where the crop was.
        mask: 0 to 1: where the model wanted to change the face; where 0, the photo stays.
    """
    whole = photo.copy()
    left, top, right, bottom = _region(crop, photo.shape[:2])
    if right <= left or bottom <= top:
        return whole
    before, after, weights = (
        _enlarged(picture, crop, (left, top, right, bottom))
        for picture in (crop.pixels, result, _weights(crop.pixels, result, mask))
    )
    place = whole[top:bottom, left:right]
    for rows in _bands(bottom - top):
        place[rows] = _changed(place[rows], before[rows], after[rows], weights[rows])
    return whole


def _changed(
    photo: UInt8[np.ndarray, "h w 3"],
    before: UInt8[np.ndarray, "h w 3"],
    after: UInt8[np.ndarray, "h w 3"],
    weights: UInt8[np.ndarray, "h w 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    seen, old, new = (part.astype(np.float32) for part in (photo, before, after))
    reach, moved = weights[..., :1] / np.float32(255), weights[..., 1:2] / np.float32(255)
    changed = seen + reach * (new - old - moved * (seen - old))
    levels: np.ndarray = changed.round().clip(0, 255).astype(np.uint8)
    return levels


def _weights(
    before: UInt8[np.ndarray, "s s 3"],
    after: UInt8[np.ndarray, "s s 3"],
    mask: Float[np.ndarray, "s s"],
) -> UInt8[np.ndarray, "s s 3"]:
    """Return, in one picture, how much of the change counts, and where the face moved."""
    size = len(before)
    from_border = np.minimum(np.arange(size), np.arange(size)[::-1]) / (EDGE * size)
    fade = _smooth(from_border)
    reach = np.outer(fade, fade) * _smooth(mask / MASKED_BELOW)
    change = np.abs(after.astype(np.int16) - before).max(2).astype(np.uint8)
    spread = Image.fromarray(change).filter(ImageFilter.GaussianBlur(SPREAD_PX))
    moved = _smooth((np.asarray(spread) - KEPT_BELOW) / (MOVED_ABOVE - KEPT_BELOW))
    levels = np.stack([reach, moved, np.zeros_like(moved)], axis=2) * 255
    return np.asarray(levels.round(), np.uint8)


def _smooth(part: np.ndarray) -> np.ndarray:
    """Return 0 to 1 for 0 to 1, level at both ends."""
    inside = np.clip(part, 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside))


def _region(crop: Crop, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what the crop covers of the photo."""
    size = crop.spec.size_px
    corners = crop.to_photo @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    low, high = np.floor(corners.min(1)), np.ceil(corners.max(1))
    left, top = (int(max(0, edge)) for edge in low)
    right, bottom = (int(min(end, edge)) for end, edge in zip(shape[::-1], high, strict=True))
    return left, top, right, bottom


def _enlarged(
    picture: UInt8[np.ndarray, "s s 3"], crop: Crop, region: tuple[int, int, int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture of the crop's size as the photo's region shows it; 0 outside the crop."""
    left, top, right, bottom = region
    way = np.linalg.inv(np.vstack([crop.to_photo, [0, 0, 1]]))[:2]
    full = crop.spec.size_px
    least = min(full, max(1, round(full / math.hypot(way[0, 0], way[1, 0]))))
    part = Image.fromarray(picture)
    if least < full:  # the photo's face is smaller than the crop
        part, way = part.resize((least, least), Image.Resampling.BOX), way * least / full
    way[:, 2] += way[:, :2] @ (left, top)
    size = (right - left, bottom - top)
    return np.array(
        part.transform(
            size, Image.Transform.AFFINE, tuple(way.ravel().tolist()), Image.Resampling.BICUBIC
        )
    )


def _bands(height: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, height, ROWS))
