"""Colours of another profile -> sRGB, by the profile's curves and primaries."""

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from registry import devices

logger = logging.getLogger(__name__)

PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode of the pictures that a profile of this colour space describes."""
BAND_ROWS = 256
"""Rows of a picture that a thread converts at a time; Pillow converts in one thread."""
SAME_LEVELS = 2
"""A profile that moves no colour by more levels of 255 counts as sRGB: its pictures stay as they
are. Makers write sRGB's curve as a formula or as a table, which differ that much."""


def in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return the picture in sRGB's colours, or as it is where its profile can't be followed.

    Relative colorimetric with black point compensation.

    Args:
        picture: in mode RGB, L or CMYK.
        profile: the ICC profile of the file.
    """
    try:
        mode, transform = _to_srgb(profile)
        if mode is None or (mode != "RGB" and mode != picture.mode):
            return picture
        own = picture if picture.mode == mode else picture.convert(mode)
        converted = _converted(own, transform) if transform else picture
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.info("A colour profile can't be followed (%s); the colours stay as they are.", error)
        return picture
    return converted


def _converted(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Return what `transform.apply` makes of a picture, by bands of rows on all cores."""
    width, height = picture.size
    converted, tops = Image.new("RGB", picture.size), range(0, height, BAND_ROWS)

    def band(top: int) -> Image.Image:
        return transform.apply(picture.crop((0, top, width, min(top + BAND_ROWS, height))))

    with ThreadPoolExecutor(devices.threads()) as threads:
        for top, part in zip(tops, threads.map(band, tops), strict=True):
            converted.paste(part, (0, top))
    return converted


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes) -> tuple[str | None, ImageCms.ImageCmsTransform | None]:
    """Return the mode that a profile describes, and the way to sRGB; None where it is sRGB.

    Raises:
        PyCMSError: it is damaged, or can't be a picture's.
    """
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = PROFILE_MODES.get(own.profile.xcolor_space)
    if mode is None:
        return None, None
    transform = ImageCms.buildTransform(
        own,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return mode, None if mode != "CMYK" and _keeps_colours(transform, mode) else transform


def _keeps_colours(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    samples = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    if mode == "L":
        samples = np.arange(256, dtype=np.uint8)[None]
    before = Image.fromarray(samples)
    after = np.asarray(transform.apply(before), np.int16)
    return int(np.abs(after - np.asarray(before.convert("RGB"), np.int16)).max()) <= SAME_LEVELS
