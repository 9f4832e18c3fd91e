"""Generated pictures are marked: visibly, and in their metadata."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from demo.marking import SOURCE_TYPE, draw_mark, encode_jpeg, encode_png

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def origin(packet: str | bytes) -> str | None:
    """Return the digitalSourceType an XMP packet names."""
    text = packet.decode() if isinstance(packet, bytes) else packet
    described = ET.fromstring(text).find(f"{RDF}RDF/{RDF}Description")  # noqa: S314
    assert described is not None
    return described.get(f"{IPTC}DigitalSourceType")


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)


def test_a_png_names_its_origin_and_holds_the_marked_picture(picture: np.ndarray) -> None:
    saved = Image.open(io.BytesIO(encode_png(picture)))
    assert saved.format == "PNG"
    assert origin(saved.info["XML:com.adobe.xmp"]) == SOURCE_TYPE
    assert SOURCE_TYPE.endswith("/digitalsourcetype/trainedAlgorithmicMedia")
    assert not saved.getexif()
    assert np.array_equal(np.array(saved), draw_mark(picture))


def test_a_generated_jpeg_is_marked_too_and_a_photo_is_not() -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    shown = Image.open(io.BytesIO(encode_jpeg(grey)))
    assert origin(shown.info["xmp"]) == SOURCE_TYPE
    assert np.abs(np.array(shown).astype(int) - draw_mark(grey)).mean() < 2
    photo = Image.open(io.BytesIO(encode_jpeg(grey, generated=False)))
    assert "xmp" not in photo.info
    assert np.abs(np.array(photo).astype(int) - 128).max() < 3


@pytest.mark.parametrize(
    ("height", "width"), [(16, 16), (40, 2000), (2000, 40), (128, 128), (3000, 4000)]
)
def test_the_mark_is_small_in_the_corner_and_has_contrast(height: int, width: int) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    marked = draw_mark(white)
    rows, columns = np.nonzero((marked != white).any(2))
    assert marked.shape == white.shape
    assert rows.min() >= min(height / 2, height - 2.4 * max(10, 0.028 * min(height, width)))
    assert columns.max() > 0.9 * width - 12
    if min(height, width) > 100:
        assert len(rows) < 0.13 * height * width
        assert marked.min() < 90  # letters stay white, so the paper under them is dark
        assert (marked[rows.min() : rows.max(), columns.min() : columns.max()] > 200).any()


def test_the_picture_given_stays_as_it_is(picture: np.ndarray) -> None:
    before = picture.copy()
    marked = draw_mark(picture)
    assert np.array_equal(picture, before)
    assert np.array_equal(marked[:300, :400], before[:300, :400])
