import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image, ImageCms

from registry.photos import MAX_PIXELS, PhotoError, check_photo, read_photo

RED, GREEN, BLUE, WHITE = (220, 30, 20), (20, 200, 40), (10, 40, 210), (255, 255, 255)
TOLERANCE = 6


def corners(pixels: UInt8[np.ndarray, "h w 3"]) -> list[list[int]]:
    """Return the middle colours of the quarters, row by row."""
    h, w = pixels.shape[:2]
    places = [(h // 4, w // 4), (h // 4, -w // 4), (-h // 4, w // 4), (-h // 4, -w // 4)]
    return [pixels[place].tolist() for place in places]


@pytest.fixture
def flag() -> Image.Image:
    """Return a picture of four coloured quarters, 96 wide and 64 high."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48], pixels[:32, 48:], pixels[32:, :48], pixels[32:, 48:] = RED, GREEN, BLUE, WHITE
    return Image.fromarray(pixels)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def cmyk(flag: Image.Image) -> bytes:
    return saved(flag.convert("CMYK"), "JPEG", quality=100, subsampling=0)


def palette(flag: Image.Image) -> bytes:
    return saved(flag.quantize(4), "PNG")


def opaque(flag: Image.Image) -> bytes:
    return saved(flag.convert("RGBA"), "WEBP", lossless=True)


def two_frames(flag: Image.Image) -> bytes:
    return saved(flag.quantize(4), "GIF", save_all=True, append_images=[Image.new("P", flag.size)])


def sixteen_bit_colour(flag: Image.Image) -> bytes:
    """Return a PNG with two bytes a channel, which Pillow can't write."""
    lines = np.asarray(flag).astype(">u2") * 257
    rows = b"".join(b"\0" + line.tobytes() for line in lines)
    return png(flag.size, depth=16, colour=2, data=zlib.compress(rows))


def png(size: tuple[int, int], *, depth: int, colour: int, data: bytes = b"") -> bytes:
    chunks = {b"IHDR": struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0), b"IDAT": data}
    written = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (chunks | {b"IEND": b""}).items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize("encode", [cmyk, palette, opaque, two_frames, sixteen_bit_colour])
def test_every_kind_of_picture_becomes_the_same_rgb(
    flag: Image.Image, encode: Callable[[Image.Image], bytes]
) -> None:
    pixels = read_photo(encode(flag))
    assert pixels.shape == (64, 96, 3)
    assert np.allclose(corners(pixels), [RED, GREEN, BLUE, WHITE], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), *product(("RGB", "RGBA"), ("PNG", "WEBP", "TIFF"))],
)
def test_colours_of_another_profile_become_srgbs(flag: Image.Image, mode: str, kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"s\0R\0G\0B", b"o\0t\0h\0e").replace(b"sRGB", b"othr")
    first, second = b"rXYZ", b"gXYZ"
    profile = profile.replace(first, b"....").replace(second, first).replace(b"....", second)
    file = saved(flag.convert(mode), kind, icc_profile=profile, quality=100)
    found = corners(read_photo(file))
    np.testing.assert_allclose(found[0], (RED[1], RED[0], RED[2]), atol=TOLERANCE)
    np.testing.assert_allclose(found[3], WHITE, atol=TOLERANCE)
    broken = saved(flag.convert(mode), kind, icc_profile=b"no profile" * 20, quality=100)
    np.testing.assert_allclose(corners(read_photo(broken))[0], RED, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_become_eight(kind: str) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (32, 1))
    pixels = read_photo(saved(Image.fromarray(ramp), kind))
    assert (pixels == np.arange(256)[None, :, None]).all()


def test_what_is_transparent_becomes_white(flag: Image.Image) -> None:
    flag.putalpha(Image.linear_gradient("L").resize(flag.size))
    clear, solid = read_photo(saved(flag, "PNG"))[[0, -1], 10]
    assert np.allclose(clear, WHITE, atol=TOLERANCE)
    assert np.allclose(solid, BLUE, atol=TOLERANCE)
    grey = Image.new("LA", (40, 40), (0, 0))
    assert (read_photo(saved(grey, "PNG")) == 255).all()
    see_through = Image.new("P", (40, 40), 3)
    assert (read_photo(saved(see_through, "GIF", transparency=3)) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(flag: Image.Image, orientation: int, kind: str) -> None:
    undone = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # orientation 6: to be turned clockwise
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = flag.transpose(undone[orientation]) if orientation > 1 else flag
    notes = Image.Exif()
    notes[0x0112] = orientation
    pixels = read_photo(saved(stored, kind, exif=notes))
    assert pixels.shape == (64, 96, 3)
    assert np.allclose(corners(pixels), [RED, GREEN, BLUE, WHITE], atol=2 * TOLERANCE)


def test_a_camera_held_upright_is_turned_clockwise() -> None:
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:, :10] = WHITE  # left in the file, at the top when upright
    notes = Image.Exif()
    notes[0x0112] = 6
    pixels = read_photo(saved(Image.fromarray(stored), "PNG", exif=notes))
    assert pixels.shape == (60, 40, 3)
    assert (pixels[:10] == 255).all()
    assert (pixels[10:] == 0).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0nonsense and more of it"])
def test_broken_exif_does_not_spoil_a_picture(flag: Image.Image, exif: bytes) -> None:
    pixels = read_photo(saved(flag, "JPEG", exif=exif, quality=100, subsampling=0))
    assert pixels.shape == (64, 96, 3)
    assert np.allclose(corners(pixels), [RED, GREEN, BLUE, WHITE], atol=TOLERANCE)


def test_every_kind_of_source_gives_the_same_pixels(flag: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "flag.png"
    path.write_bytes(saved(flag, "PNG"))
    expected = np.asarray(flag)
    with path.open("rb") as stream:
        for source in (path, str(path), path.read_bytes(), stream, expected, flag):
            check_photo(source)
            assert (read_photo(source) == expected).all()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("nowhere.jpg", None, "There is no file nowhere.jpg; check its path."),
        ("empty.jpg", b"", "empty.jpg is empty; take another file."),
        ("notes.jpg", b"Dear diary,\n" * 50, "notes.jpg is not a picture this program reads"),
        ("figure.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "is not a picture"),
        ("dot.png", saved(Image.new("RGB", (1, 1)), "PNG"), "dot.png is only 1 x 1 pixels"),
        ("line.png", saved(Image.new("RGB", (900, 2)), "PNG"), "line.png is only 900 x 2 pixels"),
        ("huge.png", png((10_001, 10_000), depth=8, colour=2), "has more than 100 megapixels"),
        ("vast.png", png((60_000, 60_000), depth=8, colour=2), "has more than 100 megapixels"),
    ],
)
def test_what_the_header_shows_to_be_unusable_is_refused_in_one_sentence(
    name: str, content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for gate in (check_photo, read_photo):
        with pytest.raises(PhotoError, match=reason) as refused:
            gate(path)
        assert str(refused.value).count(".") - name.count(".") == 1
        assert str(tmp_path) not in str(refused.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="is no file"):
        check_photo(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_picture_cut_off_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    whole = saved(Image.fromarray(noise), kind)
    assert read_photo(whole).shape == (200, 200, 3)
    with pytest.raises(PhotoError, match=r"cut off|is not a picture"):
        read_photo(whole[: len(whole) // 2])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damage_anywhere_ends_in_a_picture_or_a_sentence(kind: str, flag: Image.Image) -> None:
    notes = Image.Exif()
    notes[0x0112], notes[0x0110] = 6, "camera"
    whole = saved(flag, kind, **{} if kind in ("GIF", "BMP") else {"exif": notes})
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(0, min(300, len(damaged)), 3)] = random.integers(0, 256, 3)
        try:
            assert read_photo(damaged.tobytes()).dtype == np.uint8
        except PhotoError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((40, 40, 3)), np.zeros((40, 40, 5), np.uint8), np.zeros(40, np.uint8)],
)
def test_an_array_that_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PhotoError, match="An array must hold uint8 pixels"):
        read_photo(pixels)


MEASURED = """
import resource, sys
from registry.photos import PhotoError, read_photo
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(read_photo(sys.argv[1]).shape)
except PhotoError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def read_apart(path: Path) -> tuple[str, float]:
    """Read a picture in another process; return what that prints, and its peak memory in GB."""
    pytest.importorskip("resource", reason="peak memory can't be read here")
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, path], capture_output=True, text=True, check=True
    )
    text, memory = ran.stdout.splitlines()
    return text, int(memory) / (2**30 if sys.platform == "darwin" else 2**20)


def test_a_bomb_is_not_decoded(tmp_path: Path) -> None:
    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(12_001)) for _ in range(12_000)) + packed.flush()
    bomb = png((12_000, 12_000), depth=8, colour=0, data=rows)
    assert len(bomb) < 1_000_000
    (tmp_path / "bomb.png").write_bytes(bomb)
    text, memory = read_apart(tmp_path / "bomb.png")
    assert text == "bomb.png has more than 100 megapixels; scale it down."
    assert memory < 0.05


def test_a_photo_of_exactly_100_megapixels_is_read(tmp_path: Path) -> None:
    width, height = 12_500, 8_000
    assert width * height == MAX_PIXELS
    Image.new("CMYK", (width, height), (0, 120, 120, 30)).save(tmp_path / "large.jpg")
    text, memory = read_apart(tmp_path / "large.jpg")
    assert text == "(8000, 12500, 3)"
    assert memory < 2
