"""A change is pasted with a soft edge, and nothing outside the crop changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from demo.pasting import EDGE, confined, paste_change
from registry.crops import Crop, CropSpec
from registry.faces import Face, FaceCropper

SIZE, MARGIN = 64, 0.4


def scene(seed: int, height: int = 240, width: int = 300) -> np.ndarray:
    """A photo with coarse and fine detail."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 215, (12, 15, 3), np.uint8))
    smooth = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return (smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)


def cut(photo: np.ndarray, x: float, y: float, eyes: float, roll: float) -> Crop:
    angle = np.radians(roll)
    points = np.array([(-0.5, 0), (0.5, 0), (0, 0.6), (0, 1.05), (-1, 0.2), (1, 0.2)])
    turning = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    keypoints = eyes * points @ turning + (x, y)
    face = Face(box=(0.0, 0.0, 1.0, 1.0), keypoints=keypoints, confidence=0.9)
    return FaceCropper().crop(photo, face, CropSpec(size_px=SIZE, margin=MARGIN))


def everywhere() -> np.ndarray:
    return np.ones((SIZE, SIZE), np.float32)


places = st.tuples(
    st.integers(-20, 320), st.integers(-20, 260), st.integers(6, 90), st.integers(-180, 180)
).map(lambda place: tuple(part + 0.3 for part in place))


@given(places, st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_what_did_not_change_stays_bit_identical(
    place: tuple[float, float, float, float], seed: int
) -> None:
    photo = scene(seed)
    crop = cut(photo, *place)
    assert np.array_equal(paste_change(photo, crop, crop.pixels, everywhere()), photo)
    inverted = paste_change(photo, crop, 255 - crop.pixels, np.zeros((SIZE, SIZE), np.float32))
    assert np.array_equal(inverted, photo)


@given(places)
@settings(max_examples=25, deadline=None)
def test_nothing_outside_the_crop_changes(place: tuple[float, float, float, float]) -> None:
    photo = scene(0)
    crop = cut(photo, *place)
    result = paste_change(photo, crop, 255 - crop.pixels, everywhere())
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]] + 0.5
    to_crop = np.linalg.inv(np.vstack([crop.to_photo, [0, 0, 1]]))
    x, y, _ = np.tensordot(to_crop, np.stack([columns, rows, np.ones_like(rows)]), 1)
    outside = (x < 0) | (y < 0) | (x > SIZE) | (y > SIZE)
    assert np.array_equal(result[outside], photo[outside])
    inner = 1.5 * EDGE * SIZE
    middle = (np.minimum(x, y) > inner) & (np.maximum(x, y) < SIZE - inner)
    changed = (result != photo).any(2)[middle]
    assert changed.size == 0 or changed.mean() > 0.9


def test_a_change_is_as_large_in_the_photo_as_in_the_crop() -> None:
    photo = np.full((300, 300, 3), 100, np.uint8)
    crop = cut(photo, 150, 130, 60, 12)
    result = paste_change(photo, crop, crop.pixels + np.uint8(40), everywhere())
    assert result[150, 150].tolist() == [140, 140, 140]
    levels = result[150, :, 0].astype(int)
    assert levels[0] == 100
    assert np.abs(np.diff(levels)).max() <= 8  # soft: no step at the border


def test_fine_detail_stays_where_the_change_is_slight_and_goes_where_the_face_moved() -> None:
    photo = scene(3, 400, 400)
    crop = cut(photo, 200, 180, 90, 0)
    middle = (slice(170, 230), slice(170, 230))

    def detail(picture: np.ndarray) -> float:
        smooth = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(4))
        return float((picture.astype(int) - np.array(smooth))[middle].std())

    slight = paste_change(photo, crop, crop.pixels + np.uint8(4), everywhere())
    moved = paste_change(photo, crop, crop.pixels[:, ::-1], everywhere())
    assert detail(slight) == pytest.approx(detail(photo), rel=0.05)
    assert detail(moved) < 0.6 * detail(photo)
    away = slight[middle].astype(int) - photo[middle]
    assert np.median(away) == 4


def test_a_generators_picture_counts_inside_the_faces_outline_alone() -> None:
    crop = cut(scene(0), 150, 120, 40, 0)
    drawn = 255 - crop.pixels
    result = confined(crop.pixels, drawn, MARGIN)
    middle, side = SIZE / 2, SIZE / (1 + MARGIN)
    away = (np.arange(SIZE) + 0.5 - middle) / side
    x, y = np.meshgrid(away, away)
    shoulders, hair = (abs(x) > 0.5) & (y > 0.5), (abs(x) > 0.4) & (y < -0.5)
    assert np.array_equal(result[shoulders | hair], crop.pixels[shoulders | hair])
    face, jaw = (abs(x) < 0.42) & (abs(y) < 0.25), (abs(x) < 0.25) & (abs(y - 0.5) < 0.12)
    assert np.array_equal(result[face | jaw], drawn[face | jaw])


@pytest.mark.parametrize("differ", [0, 3])
def test_a_grey_face_stays_grey_and_another_keeps_its_colours(differ: int) -> None:
    crop = cut(scene(0), 150, 120, 40, 0)
    coloured = np.stack([crop.pixels[..., 0], crop.pixels[..., 1] // 2, crop.pixels[..., 2]], 2)
    grey = np.repeat(crop.pixels[..., :1] // 2 + 10, 3, axis=2)
    grey[..., 1] += np.uint8(differ)
    result = confined(grey, coloured, MARGIN).astype(int)
    assert np.ptp(result, axis=2).max() <= differ
    stamped = grey.copy()
    stamped[:4, :4] = (255, 0, 0)
    assert np.ptp(confined(stamped, coloured, MARGIN)[8:], axis=2).max() <= differ
    assert np.array_equal(confined(crop.pixels, crop.pixels, MARGIN), crop.pixels)
    middle = slice(SIZE // 2 - 4, SIZE // 2 + 4)
    kept = confined(crop.pixels, coloured, MARGIN)
    assert np.array_equal(kept[middle, middle], coloured[middle, middle])
