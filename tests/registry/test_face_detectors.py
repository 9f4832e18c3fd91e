"""The copies and tiles of a photo that detectors get, and the confidence that they are given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from registry.faces import copies
from registry.faces.detectors import FAR, FAR_INPUT_PX, NEAR, Detector, DetectorInput, Detectors
from registry.photos import read_photo


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("height", "width"), [(300, 641), (1281, 999), (700, 5000), (1701, 2503), (2560, 641)]
)
def test_the_copy_of_a_photo_is_what_pillow_makes_of_it(height: int, width: int) -> None:
    photo = noise(height, width)
    scale = copies.LONGEST_PX / max(height, width)
    size = round(width * scale), round(height * scale)
    expected = Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    whole = copies.Copies(photo).whole
    assert (whole.pixels == np.asarray(expected)).all()
    assert whole.to_photo @ (*size, 1) == pytest.approx((width, height))


def test_a_small_photo_is_its_own_copy_and_has_no_tiles() -> None:
    photo = noise(480, 640)
    made = copies.Copies(photo)
    assert (made.whole.pixels == photo).all()
    assert made.to_tile == []


@pytest.mark.parametrize(("height", "width"), [(3000, 4000), (4032, 3024), (1700, 2500)])
def test_tiles_show_each_part_of_a_photo_in_several_sizes(height: int, width: int) -> None:
    for copy in copies.Copies(noise(height, width)).to_tile:
        shown = np.zeros((height, width), bool)
        for tile in copies.tiles(copy):
            assert max(tile.pixels.shape) == FAR_INPUT_PX
            (left, top), (right, bottom) = (
                np.round(tile.to_photo @ corner).astype(int)
                for corner in ((0, 0, 1), (*tile.pixels.shape[1::-1], 1))
            )
            shown[max(0, top) : bottom, max(0, left) : right] = True
        assert shown.all()


@pytest.mark.parametrize(("grey_levels", "kept"), [(0, 0), (6, 0), (20, 2), (200, 2)])
def test_tiles_without_contrast_are_left_out(grey_levels: int, kept: int) -> None:
    pixels = np.full((192, 300, 3), 40, np.uint8)
    pixels[90:102, 140:155] += np.uint8(grey_levels)  # where both tiles show it
    copy = DetectorInput(pixels, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert len(copies.tiles(copy)) == kept


@pytest.mark.parametrize("detector", [FAR, NEAR], ids=["far", "near"])
def test_detections_below_the_confidence_are_left_out(detector: Detector, examples: Path) -> None:
    photo = read_photo(examples / "smiling_05.jpg")
    detectors, whole = Detectors(), copies.Copies(photo).whole
    ((face,),) = detectors.faces([whole], detector, photo.shape)
    assert face.confidence >= detector.confidence
    for confidence, count in ((face.confidence - 0.02, 1), (face.confidence + 0.02, 0)):
        other = replace(detector, confidence=confidence)
        assert len(detectors.faces([whole], other, photo.shape)[0]) == count
