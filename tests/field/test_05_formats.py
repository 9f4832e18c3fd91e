"""Item 5: one list of formats, those of phones among them, for every way in."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.predictors import read_photo_with_faces
from registry.faces import FaceCropper
from registry.photos import PHOTO_FORMATS, PHOTO_SUFFIXES, PhotoError, check_photo, read_photo

WRITTEN_AS = {
    ".jpg": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "MPO",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
ORIENTATION = 0x0112
CLOCKWISE = 6
COLOURS = np.array([(220, 30, 20), (20, 200, 40), (10, 40, 210), (250, 250, 250)], np.uint8)


@pytest.fixture(autouse=True, scope="module")
def heif_can_be_written() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def quarters() -> Image.Image:
    corners = COLOURS.reshape(2, 2, 3)
    return Image.fromarray(np.kron(corners, np.ones((32, 48, 1), np.uint8)))


def middles(pixels: np.ndarray) -> np.ndarray:
    h, w = pixels.shape[:2]
    places = [(h // 4, w // 4), (h // 4, -w // 4), (-h // 4, w // 4), (-h // 4, -w // 4)]
    return np.array([pixels[place] for place in places], int)


@pytest.mark.parametrize("suffix", WRITTEN_AS)
def test_every_format_is_answered(suffix: str, examples: Path, tmp_path: Path) -> None:
    assert suffix in PHOTO_SUFFIXES
    with Image.open(examples / "smiling_05.jpg") as person:
        (tmp_path / f"person{suffix}").write_bytes(encoded(person, WRITTEN_AS[suffix]))
    path = tmp_path / f"person{suffix}"
    check_photo(path)
    assert len(read_photo_with_faces(path, FaceCropper()).faces) == 1
    cut = path.read_bytes()[: path.stat().st_size // 2]
    with pytest.raises(PhotoError, match=r"damaged or cut off|is not a picture"):
        read_photo(cut)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
def test_the_orientation_is_applied_once(kind: str) -> None:
    notes = Image.Exif()
    notes[ORIENTATION] = CLOCKWISE
    upright = quarters()
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    pixels = read_photo(encoded(stored, kind, exif=notes.tobytes(), quality=95))
    assert pixels.shape == (64, 96, 3)
    np.testing.assert_allclose(middles(pixels), COLOURS, atol=30)


@pytest.mark.parametrize("kind", ["MPO", "GIF", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_of_several_pictures_the_first_is_taken(kind: str) -> None:
    black = Image.new("RGB", (96, 64))
    content = encoded(quarters(), kind, save_all=True, append_images=[black, black], quality=95)
    np.testing.assert_allclose(middles(read_photo(content)), COLOURS, atol=30)


def test_each_suffix_belongs_to_one_format() -> None:
    listed = [suffix for suffixes in PHOTO_FORMATS.values() for suffix in suffixes]
    assert sorted(listed) == sorted(PHOTO_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in listed)


def test_importing_the_gate_changes_nothing_in_pillow() -> None:
    code = "import registry.photos; from PIL import Image; print('HEIF' in Image.OPEN)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
