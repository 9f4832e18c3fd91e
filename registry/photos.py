"""Any picture -> upright RGB pixels: its header and size are checked before it is decoded."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps

from registry.colours import in_srgb
from registry.levels import colours_in_8_bits, is_deep, to_8_bits

MAX_PIXELS = 100_000_000
SMALLEST_SIDE_PX = 16
UPRIGHT = 1
"""The EXIF orientation of a picture whose first row is on top."""
ROWS = 128
"""Rows of a picture that are copied at a time."""
PhotoSource = str | Path | bytes | BinaryIO | np.ndarray | Image.Image
TOO_LARGE = f"has more than {MAX_PIXELS // 1_000_000} megapixels; scale it down"
PHOTO_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
"""What is read: Pillow's names of the formats, and the suffixes of their files, in lower case.
Others may start programs (EPS) or are no photos."""
PHOTO_SUFFIXES = frozenset(suffix for suffixes in PHOTO_FORMATS.values() for suffix in suffixes)
"""Suffixes of the files that may be photos, in lower case and with the dot."""
UNREADABLE = "is not a picture this program reads; save it as JPEG or PNG"


class PhotoError(ValueError):
    """A picture that can't be used; the message is one sentence for the visitor."""


def check_photo(source: PhotoSource) -> None:
    """Check a picture by its header, without decoding it.

    Raises:
        PhotoError: it is missing, empty, no picture, too small or above 100 megapixels.
    """
    with _opened(source):
        return


def read_photo(source: PhotoSource) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture as RGB, upright by its EXIF orientation.

    CMYK, 16-bit, palette and grey pictures are converted, and colours of another profile to sRGB's;
    transparent parts become white; of an animation the first frame is taken.

    Raises:
        PhotoError: it can't be used; nothing above 100 megapixels is decoded.
    """
    with _opened(source) as picture:
        try:
            deep = None if isinstance(source, Image.Image) else colours_in_8_bits(picture)
            picture.load()
            if deep is not None:
                picture.paste(Image.fromarray(deep))
            return _pixels(_in_rgb(picture))
        except Exception as error:  # Pillow raises many types for broken files
            raise PhotoError(
                f"{_name(source)} is damaged or cut off; take the picture again or save it again."
            ) from error


@contextmanager
def _opened(source: PhotoSource) -> Iterator[Image.Image]:
    """Give the picture, undecoded where it comes from a file, and close what was opened."""
    if isinstance(source, np.ndarray):
        source = _of_array(source)
    if isinstance(source, Image.Image):
        _check_size(source, source)
        yield source
    else:
        with _header(source) as picture:
            _check_size(picture, source)
            yield picture


def _check_size(picture: Image.Image, source: PhotoSource) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{_name(source)} {TOO_LARGE}.")
    if min(width, height) < SMALLEST_SIDE_PX:
        raise PhotoError(
            f"{_name(source)} is only {width} x {height} pixels; take one with a visible face."
        )


def _of_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim < 2 or pixels.shape[2:] not in ((), (3,), (4,)):
        raise PhotoError("An array must hold uint8 pixels, height x width x 3.")
    return Image.fromarray(pixels)


def _header(source: str | Path | bytes | BinaryIO) -> Image.Image:
    name = _name(source)
    if isinstance(source, str | Path):
        _check_file(Path(source))
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            _add_heif_to_pillow()
            return Image.open(opened, formats=tuple(PHOTO_FORMATS))
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} {TOO_LARGE}.") from error
    except Exception as error:  # as in read_photo
        raise PhotoError(f"{name} {UNREADABLE}.") from error


@cache
def _add_heif_to_pillow() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise PhotoError(f"There is no file {path.name}; check its path.") from error
    if not path.is_file():
        raise PhotoError(f"{path.name} is no file; name a picture.")
    if found.st_size == 0:
        raise PhotoError(f"{path.name} is empty; take another file.")


def _name(source: PhotoSource) -> str:
    return Path(source).name if isinstance(source, str | Path) else "The picture"


def _upright(picture: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF says, or as it is where its EXIF can't be read."""
    try:
        turned = picture.getexif().get(ExifTags.Base.Orientation, UPRIGHT) != UPRIGHT
        return ImageOps.exif_transpose(picture) if turned else picture
    except Exception:
        return picture


def _in_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture in sRGB, upright."""
    upright, profile = _upright(picture), picture.info.get("icc_profile")
    if is_deep(upright):
        tags = getattr(picture, "tag_v2", {})
        upright = Image.fromarray(to_8_bits(np.asarray(upright), tags))
    opaque = _on_white(upright) if upright.has_transparency_data else upright
    if opaque.mode not in ("RGB", "CMYK", "L"):
        opaque = opaque.convert("RGB")
    coloured = in_srgb(opaque, profile) if profile else opaque
    return coloured if coloured.mode == "RGB" else coloured.convert("RGB")


def _pixels(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Return the pixels of an RGB picture, copied a few rows at a time.

    A third of the time of `np.array(picture)`, which joins all rows twice on the way.
    """
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        pixels[top:bottom] = np.asarray(picture.crop((0, top, width, bottom)))
    return pixels


def _on_white(picture: Image.Image) -> Image.Image:
    """Return a picture without transparency, grey if it was grey."""
    grey = picture.mode in ("L", "LA", "La")
    clear = picture.convert("LA" if grey else "RGBA")
    opaque = Image.new("L" if grey else "RGB", clear.size, "white")
    opaque.paste(clear.convert(opaque.mode), mask=clear.getchannel("A"))
    return opaque
