"""Item 4: colours are converted by a profile's curves and primaries, whatever it is called."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from registry.photos import read_photo

RNG = np.random.default_rng(0)
PHOTO = np.kron(RNG.integers(8, 248, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""XYZ of the primaries, adapted to D50."""
PROPHOTO = ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
WHITE = (0.9642, 1.0, 0.8249)


def icc(name: str, gamma: float, primaries: tuple[tuple[float, ...], ...] | None) -> bytes:
    """Return a version 2 profile of one power curve, of RGB or, without primaries, of grey."""
    text = name.encode() + b"\0"
    parts = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(WHITE),
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    if primaries is None:
        parts[b"kTRC"] = curve
    else:
        parts |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
        names = (b"rXYZ", b"gXYZ", b"bXYZ")
        parts |= {tag: xyz(colour) for tag, colour in zip(names, primaries, strict=True)}
    start, table, body = 128 + 4 + 12 * len(parts), b"", b""
    for tag, part in parts.items():
        table += tag + struct.pack(">II", start + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    space = b"GRAY" if primaries is None else b"RGB "
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"mntr", space, b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + xyz(WHITE)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + body


def xyz(colour: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in colour))


def linear(levels: np.ndarray) -> np.ndarray:
    """Return sRGB's levels as light from 0 to 1 (IEC 61966-2-1)."""
    part = levels / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def png(pixels: np.ndarray, profile: bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", icc_profile=profile)
    return file.getvalue()


def farthest(pixels: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(pixels.astype(int) - expected).max())


@pytest.mark.parametrize("name", ["sRGB-elle-V2-g10", "linear"])
def test_a_linear_profile_is_followed_whatever_its_name(name: str) -> None:
    stored = (linear(PHOTO) * 255).round().astype(np.uint8)
    shown = read_photo(png(stored, icc(name, 1.0, SRGB)))
    bright = PHOTO > 60  # below, 8 bits of light have too few levels
    assert farthest(shown[bright], PHOTO[bright].astype(int)) <= 3
    assert farthest(stored[bright], PHOTO[bright].astype(int)) > 20


def test_wider_primaries_are_followed_under_the_name_of_srgb() -> None:
    to_xyz = np.array(SRGB).T
    light = np.linalg.solve(np.array(PROPHOTO).T, to_xyz @ linear(PHOTO).reshape(-1, 3).T).T
    stored = (255 * light.clip(0, 1) ** (1 / 1.8)).round().astype(np.uint8).reshape(PHOTO.shape)
    shown = read_photo(png(stored, icc("sRGB", 1.8, PROPHOTO)))
    assert farthest(shown, PHOTO) <= 10
    assert farthest(stored, PHOTO) > 30


def test_the_profile_of_a_grey_photo_is_followed() -> None:
    grey = PHOTO[..., 0]
    shown = read_photo(png((linear(grey) * 255).round().astype(np.uint8), icc("grey", 1.0, None)))
    assert farthest(shown[grey > 60][:, 0], grey[grey > 60].astype(int)) <= 3


def test_srgbs_own_profile_and_none_change_no_pixel() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (read_photo(png(PHOTO, own)) == PHOTO).all()
    unnamed = own.replace(b"s\0R\0G\0B", b"o\0t\0h\0e")
    assert unnamed != own
    assert (read_photo(png(PHOTO, unnamed)) == PHOTO).all()


@pytest.mark.parametrize(
    "profile",
    [b"no profile" * 20, icc("cut", 1.0, SRGB)[:200], icc("grey", 1.0, None), b"\0" * 128],
    ids=["text", "cut off", "of another kind", "zeros"],
)
def test_a_profile_that_does_not_fit_is_ignored(profile: bytes) -> None:
    assert (read_photo(png(PHOTO, profile)) == PHOTO).all()
