"""Pictures with more than 8 bits a sample, or of floating-point numbers -> 8 bits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION

DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a sample that cameras and scanners write, often into samples of 16 bits."""
OVERSHOOT = 16.0
"""Floating-point samples up to this are taken as 0 (black) to 1 (white): what is above 1, by
resampling or as a light, becomes white. A picture of 0 to 255 would be black with these."""
WHITE_IS_ZERO = 0
MAX_SAMPLE_VALUE = 281
SIXTEEN_BIT_COLOURS = (16, 16, 16)
HIGHEST_OF_16_BITS = 2**16 - 1


def is_deep(picture: Image.Image) -> bool:
    """Return whether a picture has one channel of more than 8 bits."""
    return picture.mode == "F" or picture.mode.startswith("I")


def colours_in_8_bits(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"] | None:
    """Return the pixels of a TIFF whose RGB samples of 16 bits hold fewer, or None for others.

    Pillow keeps the upper 8 of 16 bits, so that a picture of 10, 12 or 14 bits would be dark.

    Args:
        picture: opened by Pillow from a file, and not yet loaded.
    """
    tags = getattr(picture, "tag_v2", {})
    file = getattr(picture, "fp", None)
    if file is None or picture.mode != "RGB" or tags.get(BITSPERSAMPLE) != SIXTEEN_BIT_COLOURS:
        return None
    import cv2

    place = file.tell()
    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    file.seek(place)
    samples = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.shape != (*picture.size[::-1], 3):
        return None
    if _white(float(samples.max()), False, tags) == HIGHEST_OF_16_BITS:
        return None
    return to_8_bits(samples[..., ::-1], tags)


def to_8_bits(samples: np.ndarray, tags: Mapping[int, Any]) -> UInt8[np.ndarray, "h w *rgb"]:
    """Return the samples of a deep picture as 0 (black) to 255 (white).

    Floating-point samples up to 16 are taken as 0 to 1. Otherwise white is the highest number of
    8, 10, 12, 14 or 16 bits, the first that holds every sample and what a TIFF says about its
    samples; above 16 bits it is the highest sample itself. NaN becomes black, infinity white.

    Args:
        samples: one number a pixel, or three.
        tags: the tags of a TIFF by number; none of other files.
    """
    finite = samples[np.isfinite(samples)]
    white = _white(float(finite.max(initial=0)), samples.dtype.kind == "f", tags)
    scaled = np.multiply(samples, 255 / white, dtype=np.float32)
    scaled = np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    grey: UInt8[np.ndarray, "h w *rgb"] = scaled.clip(0, 255).round().astype(np.uint8)
    return 255 - grey if tags.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO else grey


def _white(highest: float, floating: bool, tags: Mapping[int, Any]) -> float:
    if floating and highest <= OVERSHOOT:
        return 1.0
    stated_bits = max(tags.get(BITSPERSAMPLE, (0,)))
    if stated_bits < max(DEPTHS):
        highest = max(highest, 2**stated_bits - 1)
    highest = max(highest, *tags.get(MAX_SAMPLE_VALUE, (0,)))
    return next((2.0**bits - 1 for bits in DEPTHS if highest < 2**bits), highest)
