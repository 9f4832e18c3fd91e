"""A face becomes a square of pixels, and each pixel has its place in the photo."""

import math

import numpy as np
import pytest
import torch

from registry.crops import Crop, CropSpec, recut, to_tensor
from registry.faces import Face, FaceCropper


@pytest.fixture(scope="module")
def cropper() -> FaceCropper:
    return FaceCropper()


def in_crop(crop: Crop, points: np.ndarray) -> np.ndarray:
    turn, shift = crop.to_photo[:, :2], crop.to_photo[:, 2]
    return np.linalg.solve(turn, (points - shift).T).T


def face_at(*, x: int, y: int, eyes: int, degrees: int) -> Face:
    """Return a frontal face with its nose at (x, y), turned clockwise."""
    upright = np.array([(-0.5, -0.5), (0.5, -0.5), (0, 0), (0, 0.5), (-1, -0.4), (1, -0.4)]) * eyes
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    left, top, right, bottom = map(float, (x - eyes, y - eyes, x + eyes, y + eyes))
    return Face(
        box=(left, top, right, bottom),
        keypoints=upright @ turn + (x, y),
        confidence=1.0,
    )


def test_a_crop_goes_back_to_where_it_was_cut(cropper: FaceCropper) -> None:
    y, x = np.mgrid[:300, :400] + 0.5
    places = np.stack([x / 400, y / 300, 0 * x], -1) * 255
    photo = places.round().astype(np.uint8)  # red is the column, green the row
    turned = face_at(x=200, y=150, eyes=40, degrees=30)
    crop = cropper.crop(photo, turned, CropSpec(size_px=64, margin=0.1))
    rows, columns = np.mgrid[:64, :64] + 0.5
    back = np.stack([columns, rows, np.ones_like(rows)], -1) @ crop.to_photo.T
    read = crop.pixels[..., :2] / 255 * (400, 300)
    assert np.abs(back - read).max() < 2
    eyes = in_crop(crop, turned.keypoints[:2])
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(64 * 40 / (turned.side * 1.1))


@pytest.mark.parametrize("size", [16, 40, 224])
def test_shrinking_does_not_alias(cropper: FaceCropper, size: int) -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    face = face_at(x=600, y=600, eyes=400, degrees=0)
    pixels = cropper.crop(stripes, face, CropSpec(size_px=size, margin=0.0)).pixels
    assert pixels.mean() == pytest.approx(127.5, abs=2)
    assert pixels.std() < (2 if size < 200 else 20)


def test_what_lies_outside_the_photo_repeats_its_edge(cropper: FaceCropper) -> None:
    photo = np.full((100, 100, 3), 200, np.uint8)
    photo[:, :5] = 30
    face = face_at(x=0, y=50, eyes=40, degrees=0)
    pixels = cropper.crop(photo, face, CropSpec(size_px=80, margin=0.5)).pixels
    assert (pixels[:, :38] == 30).all()
    assert (pixels[:, 48:] == 200).all()


def test_a_crop_wider_than_the_stored_one_repeats_the_edge() -> None:
    stored = np.full((40, 40, 3), 10, np.uint8)
    stored[5:-5, 5:-5] = 240
    wider = recut(stored, 0.0, CropSpec(size_px=80, margin=1.0))
    assert (wider[:20] == 10).all()
    assert (wider[28:52, 28:52] == 240).all()
    assert (recut(stored, 0.2, CropSpec(size_px=40, margin=0.2)) == stored).all()


def test_crops_become_what_networks_take() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    tensor = to_tensor([pixels, pixels[:, ::-1]])
    assert tensor.shape == (2, 3, 112, 112)
    assert tensor.dtype == torch.float32
    assert (tensor[0, :, 7, 9] * 255).tolist() == pytest.approx(pixels[7, 9].tolist())
    assert torch.equal(tensor[1], tensor[0].flip(-1))
