"""The gate every picture passes: header first, bounds, then decoding to upright RGB."""

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 100_000_000
SMALLEST_SIDE_PX = 16
PhotoSource = str | Path | bytes | BinaryIO | np.ndarray | Image.Image
TOO_LARGE = f"has more than {MAX_PIXELS // 1_000_000} megapixels; scale it down"
UNREADABLE = "is not a picture this program reads; take a JPEG, PNG, WebP, GIF, BMP or TIFF file"


class PhotoError(ValueError):
    """A picture that can't be used; the message is one sentence for the visitor."""


def check_photo(source: PhotoSource) -> None:
    """Look at a picture's header and nothing more.

    Raises:
        PhotoError: it is missing, empty, no picture, too small or above 100 megapixels.
    """
    _opened(source)


def read_photo(source: PhotoSource) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture as RGB, upright by its EXIF orientation.

    CMYK, 16-bit, palette and grey pictures are converted; transparent parts become white; of an
    animation the first frame is taken.

    Raises:
        PhotoError: it can't be used; nothing above 100 megapixels is decoded.
    """
    picture = _opened(source)
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        return np.array(_in_rgb(upright))
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise PhotoError(
            f"{_name(source)} is damaged or cut off; take the picture again or save it anew."
        ) from error


def _opened(source: PhotoSource) -> Image.Image:
    if isinstance(source, np.ndarray):
        source = _of_array(source)
    picture = source if isinstance(source, Image.Image) else _header(source)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{_name(source)} {TOO_LARGE}.")
    if min(width, height) < SMALLEST_SIDE_PX:
        raise PhotoError(
            f"{_name(source)} is only {width} x {height} pixels; take one with a visible face."
        )
    return picture


def _of_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise PhotoError("An array must hold uint8 pixels, height x width x 3.")
    return Image.fromarray(pixels)


def _header(source: str | Path | bytes | BinaryIO) -> Image.Image:
    name = _name(source)
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise PhotoError(f"There is no file {name}; check its path.")
        if not path.is_file():
            raise PhotoError(f"{name} is a folder; name a picture.")
        if path.stat().st_size == 0:
            raise PhotoError(f"{name} is empty; take another file.")
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(opened)
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} {TOO_LARGE}.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise PhotoError(f"{name} {UNREADABLE}.") from error


def _name(source: PhotoSource) -> str:
    return Path(source).name if isinstance(source, str | Path) else "The picture"


def _in_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_to_8_bit(np.asarray(picture, dtype=np.float64))).convert("RGB")
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")


def _to_8_bit(levels: np.ndarray) -> np.ndarray:
    highest = 255 if levels.max() <= 255 else 65535 if levels.max() <= 65535 else levels.max()
    scaled: np.ndarray = (levels / highest * 255).clip(0, 255).astype(np.uint8)
    return scaled
