"""Pictures of one channel with more than 8 bits, or of floating-point numbers -> 8 bits."""

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


def is_deep(picture: Image.Image) -> bool:
    """Return whether a picture has one channel of more than 8 bits."""
    return picture.mode == "F" or picture.mode.startswith("I")


def to_8_bits(samples: np.ndarray, tags: Mapping[int, Any]) -> UInt8[np.ndarray, "h w"]:
    """Return the samples of a deep picture as 0 (black) to 255 (white).

    Floating-point samples up to 16 are taken as 0 to 1. Otherwise white is the highest number of
    8, 10, 12, 14 or 16 bits, the first that holds every sample and what a TIFF says about its
    samples; above 16 bits it is the highest sample itself. NaN becomes black, infinity white.

    Args:
        samples: one number a pixel.
        tags: the tags of a TIFF by number; none of other files.
    """
    finite = samples[np.isfinite(samples)]
    white = _white(float(finite.max(initial=0)), samples.dtype.kind == "f", tags)
    scaled = np.multiply(samples, 255 / white, dtype=np.float32)
    scaled = np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    grey: UInt8[np.ndarray, "h w"] = scaled.clip(0, 255).round().astype(np.uint8)
    return 255 - grey if tags.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO else grey


def _white(highest: float, floating: bool, tags: Mapping[int, Any]) -> float:
    if floating and highest <= OVERSHOOT:
        return 1.0
    stated_bits = max(tags.get(BITSPERSAMPLE, (0,)))
    if stated_bits < max(DEPTHS):
        highest = max(highest, 2**stated_bits - 1)
    highest = max(highest, *tags.get(MAX_SAMPLE_VALUE, (0,)))
    return next((2.0**bits - 1 for bits in DEPTHS if highest < 2**bits), highest)
