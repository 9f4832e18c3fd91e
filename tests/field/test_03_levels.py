"""Item 3: pictures of floating-point numbers, and of more than 8 bits, are as bright as ever."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from registry.photos import read_photo

MAX_SAMPLE_VALUE = 281
RNG = np.random.default_rng(0)
GREY = (np.linspace(0, 250, 96 * 64).reshape(64, 96) + RNG.normal(0, 2, (64, 96))).clip(0, 255)


def tiff(samples: np.ndarray, tags: dict[int, object] | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "TIFF", tiffinfo=tags or {})
    return file.getvalue()


def mean_grey(content: bytes) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return float(read_photo(content).mean())


def samples_of(bits: int) -> np.ndarray:
    return (GREY / 255 * (2**bits - 1)).round().astype(np.uint16)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(tiff((GREY / 255).astype(np.float32)), id="float to 1"),
        pytest.param(tiff((GREY / 255 * 1.05).astype(np.float32) / 1.05), id="float below 1"),
        pytest.param(tiff(GREY.astype(np.float32)), id="float to 255"),
        pytest.param(tiff((GREY * 257).astype(np.float32)), id="float to 65535"),
        *[pytest.param(tiff(samples_of(bits)), id=f"{bits} in 16") for bits in (10, 12, 14, 16)],
        pytest.param(tiff((GREY * 257).astype(np.int32)), id="16 in 32"),
        pytest.param(tiff(samples_of(12).astype(">u2")), id="big-endian"),
        pytest.param(
            tiff(65535 - samples_of(16), {PHOTOMETRIC_INTERPRETATION: 0}), id="white is zero"
        ),
    ],
)
def test_the_mean_grey_is_that_of_the_8_bit_photo(content: bytes) -> None:
    expected = mean_grey(tiff(GREY.round().astype(np.uint8)))
    assert mean_grey(content) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("compression", [1, 5], ids=["uncompressed", "LZW"])
def test_colours_of_fewer_than_16_bits_are_as_bright_as_those_of_8(
    bits: int, compression: int, tmp_path: Path
) -> None:
    colours = np.stack([GREY, GREY / 2, GREY[::-1]], axis=-1)
    deep = (colours / 255 * (2**bits - 1)).round().astype(np.uint16)
    path = tmp_path / "deep.tiff"
    assert cv2.imwrite(str(path), deep[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    for source in (path, path.read_bytes()):
        pixels = read_photo(source)
        assert np.abs(pixels - colours).max() <= 1.5
        assert pixels.mean() == pytest.approx(colours.mean(), abs=1)


def test_a_dark_photo_stays_dark_where_the_file_states_its_range() -> None:
    dark = (samples_of(12) / 8).astype(np.uint16)
    found = mean_grey(tiff(dark, {MAX_SAMPLE_VALUE: 4095}))
    assert found == pytest.approx(GREY.mean() / 8, abs=1)


def test_samples_that_are_no_numbers_spoil_nothing() -> None:
    samples = (GREY / 255).astype(np.float32)
    samples[:4, :4], samples[:4, 4:8], samples[:4, 8:12] = np.nan, np.inf, -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = read_photo(tiff(samples))
    assert pixels[4:].mean() == pytest.approx(GREY[4:].mean(), abs=1)
    assert pixels[0, [0, 4, 8], 0].tolist() == [0, 255, 0]
    assert not read_photo(tiff(np.full((32, 32), np.nan, np.float32))).any()
