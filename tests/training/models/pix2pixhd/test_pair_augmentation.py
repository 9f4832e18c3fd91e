"""Faces of a pair and their points are changed in the same way."""

from dataclasses import replace

import torch

from training.models.pix2pixhd.config import CAMERAS
from training.models.pix2pixhd.pair_augmentation import augment_alike, shrink


def spot(x: int, y: int) -> torch.Tensor:
    """Return black faces with a white spot of 4 x 4 pixels whose middle is at x, y."""
    faces = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
    faces[:, :, y - 2 : y + 2, x - 2 : x + 2] = 255
    return faces


def test_points_move_with_the_face() -> None:
    turned = replace(CAMERAS, mirror=1.0, blur=0.0, light=0.0, gamma=0.0, grey=0.0)
    points = (torch.tensor([30.0, 20.0]) / 32 - 1).expand(4, 2, 1, 2)
    torch.manual_seed(0)
    (source, *_), moved = augment_alike(turned, [spot(30, 20), spot(30, 20)], points)
    small = shrink(source, 32)
    assert small.shape == (4, 3, 32, 32)
    assert moved is not None
    assert (moved - points).abs().max() > 0.05
    ramp = (torch.arange(32) + 0.5) / 16 - 1
    for face, (x, y) in zip(small[:, 0], moved[:, 0, 0].tolist(), strict=True):
        weight = face.sum()
        assert abs(float((face.sum(0) * ramp).sum() / weight) - x) < 0.02
        assert abs(float((face.sum(1) * ramp).sum() / weight) - y) < 0.02


def test_all_faces_of_a_pair_are_changed_in_the_same_way_and_pairs_differently() -> None:
    cameras = replace(CAMERAS, blur=1.0, grey=0.5)
    faces = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8).expand(4, -1, -1, -1)
    torch.manual_seed(0)
    (source, target, driver), points = augment_alike(cameras, [faces] * 3, None)
    assert points is None
    assert torch.equal(source, target)
    assert torch.equal(source, driver)
    assert (source[0] - source[1]).abs().mean() > 0.01
