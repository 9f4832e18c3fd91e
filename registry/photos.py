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
from PIL import Image, ImageCms, ImageOps

MAX_PIXELS = 100_000_000
SMALLEST_SIDE_PX = 16
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
SRGB = ImageCms.createProfile("sRGB")


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
            picture.load()
            return np.array(_in_rgb(_upright(picture)))
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
        return ImageOps.exif_transpose(picture)
    except Exception:
        return picture


def _in_rgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_to_8_bit(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        picture = Image.new("RGB", clear.size, "white")
        picture.paste(clear, mask=clear.getchannel("A"))
    elif picture.mode not in ("RGB", "CMYK", "L"):
        picture = picture.convert("RGB")
    return (_in_srgb(picture, profile) if profile else picture).convert("RGB")


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return the picture in sRGB's colours, or as it is where its profile can't be followed."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(own):
            return picture
        converted = ImageCms.profileToProfile(picture, own, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return picture if converted is None else converted


def _to_8_bit(levels: np.ndarray) -> np.ndarray:
    highest = 255 if levels.max() <= 255 else 65535 if levels.max() <= 65535 else levels.max()
    scaled = np.multiply(levels, 255 / highest, dtype=np.float32)
    return scaled.clip(0, 255, out=scaled).round(out=scaled).astype(np.uint8)
