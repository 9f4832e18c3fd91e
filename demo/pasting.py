"""Pastes a changed crop into its photo, at the photo's own resolution and with a soft edge.

A crop is a few hundred pixels wide, and the face in the photo is often larger. So the change is
pasted, not the crop: the difference is enlarged smoothly and added. The photo's finer detail is
removed only where the face moved, or it would show twice.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

from registry.crops import Crop

EDGE = 0.12
"""Share of the crop's side over which the change fades towards each border."""
MASKED_BELOW = 0.1
"""Mask above which a change counts in full; below, it fades to nothing at 0."""
DETAIL_BELOW, MOVED_ABOVE = 6.0, 24.0
"""Levels (of 255) of change: below the first the photo's detail stays, above the second it goes."""
SPREAD_PX = 1.5
OUTLINE_WIDTH, OUTLINE_ABOVE, OUTLINE_BELOW = 0.62, 0.62, 0.8
"""Half axes, to the sides, up and down, of the outline around the crop's middle in which a face may
change, as shares of the bare face's side. It holds the ears, the forehead and a dropped jaw; most
of the hair, shoulders and background, where a change is no expression, is outside."""
OUTLINE_EDGE = 0.15
"""Share of the outline's radius over which the change fades towards its rim."""
GREY_WITHIN, GREY_SHARE = 3, 0.99
"""A face counts as grey where the colour channels of this share of its pixels differ by at most so
many levels (of 255): stored as JPEG a grey picture may differ by 1 or 2, and a stamp or a date in
colour doesn't count."""
ROWS = 256
"""Rows of the photo worked on at a time: a face of 100 megapixels must fit."""


def confined(
    before: UInt8[np.ndarray, "s s 3"], after: UInt8[np.ndarray, "s s 3"], margin: float
) -> UInt8[np.ndarray, "s s 3"]:
    """Return a generator's picture without what is no expression.

    Outside the face's outline it is as before, and a grey face stays grey.

    Args:
        before: The face's crop.
        after: What the generator made of it.
        margin: The crop's; see `CropSpec`.
    """
    if np.quantile(np.ptp(before, axis=2), GREY_SHARE) <= GREY_WITHIN:
        after = np.asarray(Image.fromarray(after).convert("L").convert("RGB"))
    share = _outline(len(before), margin)[..., None]
    mixed: np.ndarray = (before + share * (after.astype(np.float32) - before)).round()
    return mixed.astype(np.uint8)


def _outline(size: int, margin: float) -> Float[np.ndarray, "s s"]:
    """Return 1 inside the face's outline, falling to 0 at its rim."""
    away = ((np.arange(size) + 0.5) / size - 0.5) * (1 + margin)
    heights = np.where(away < 0, OUTLINE_ABOVE, OUTLINE_BELOW)
    radius = np.hypot(away / OUTLINE_WIDTH, (away / heights)[:, None])
    return _smooth((1 - radius) / OUTLINE_EDGE).astype(np.float32)


def paste_change(
    photo: UInt8[np.ndarray, "h w 3"],
    crop: Crop,
    result: UInt8[np.ndarray, "size size 3"],
    mask: Float[np.ndarray, "size size"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the photo with a crop's change in it; pixels outside the crop stay the same.

    Args:
        photo: What the crop was cut from.
        crop: The face before.
        result: The face after, where the crop was.
        mask: 0 to 1, the share of the change to add; where it is 0, the photo stays.
    """
    whole = photo.copy()
    left, top, right, bottom = _region(crop, photo.shape[:2])
    if right <= left or bottom <= top:
        return whole
    before, after, weights = (
        _enlarge(picture, crop, (left, top, right, bottom))
        for picture in (crop.pixels, result, _weights(crop.pixels, result, mask))
    )
    region = whole[top:bottom, left:right]
    for rows in _bands(bottom - top):
        region[rows] = _add_change(region[rows], before[rows], after[rows], weights[rows])
    return whole


def _add_change(
    photo: UInt8[np.ndarray, "h w 3"],
    before: UInt8[np.ndarray, "h w 3"],
    after: UInt8[np.ndarray, "h w 3"],
    weights: UInt8[np.ndarray, "h w 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Return rows of the photo with the change added; see `_weights` for the weights."""
    pixels, old, new = (rows.astype(np.float32) for rows in (photo, before, after))
    share, moved = weights[..., :1] / np.float32(255), weights[..., 1:2] / np.float32(255)
    changed = pixels + share * (new - old - moved * (pixels - old))
    levels: np.ndarray = changed.round().clip(0, 255).astype(np.uint8)
    return levels


def _weights(
    before: UInt8[np.ndarray, "s s 3"],
    after: UInt8[np.ndarray, "s s 3"],
    mask: Float[np.ndarray, "s s"],
) -> UInt8[np.ndarray, "s s 3"]:
    """Return two weights, 0 to 255: the share of the change to add, and where the face moved."""
    size = len(before)
    from_border = np.minimum(np.arange(size), np.arange(size)[::-1]) / (EDGE * size)
    fade = _smooth(from_border)
    share = np.outer(fade, fade) * _smooth(mask / MASKED_BELOW)
    change = np.abs(after.astype(np.int16) - before).max(2).astype(np.uint8)
    spread = Image.fromarray(change).filter(ImageFilter.GaussianBlur(SPREAD_PX))
    moved = _smooth((np.asarray(spread) - DETAIL_BELOW) / (MOVED_ABOVE - DETAIL_BELOW))
    levels = np.stack([share, moved, np.zeros_like(moved)], axis=2) * 255
    return np.asarray(levels.round(), np.uint8)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the smoothstep 3 x^2 - 2 x^3 of values clipped to 0 to 1."""
    inside = np.clip(values, 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside))


def _region(crop: Crop, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what the crop covers of the photo."""
    size = crop.spec.size_px
    corners = crop.to_photo @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    low, high = np.floor(corners.min(1)), np.ceil(corners.max(1))
    left, top = (int(max(0, edge)) for edge in low)
    right, bottom = (int(min(end, edge)) for end, edge in zip(shape[::-1], high, strict=True))
    return left, top, right, bottom


def _enlarge(
    picture: UInt8[np.ndarray, "s s 3"], crop: Crop, region: tuple[int, int, int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture of the crop's size as the photo's region shows it; 0 outside the crop."""
    left, top, right, bottom = region
    to_crop = np.linalg.inv(np.vstack([crop.to_photo, [0, 0, 1]]))[:2]
    full = crop.spec.size_px
    least = min(full, max(1, round(full / math.hypot(to_crop[0, 0], to_crop[1, 0]))))
    small = Image.fromarray(picture)
    if least < full:  # the photo's face is smaller than the crop
        small = small.resize((least, least), Image.Resampling.BOX)
        to_crop = to_crop * least / full
    to_crop[:, 2] += to_crop[:, :2] @ (left, top)
    size = (right - left, bottom - top)
    return np.array(
        small.transform(
            size, Image.Transform.AFFINE, tuple(to_crop.ravel().tolist()), Image.Resampling.BICUBIC
        )
    )


def _bands(height: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, height, ROWS))
