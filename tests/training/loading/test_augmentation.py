"""Each option of the augmentation alone: what it changes, and by how much at most."""

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from training.loading.augmentation import LUMINANCE, Augmentation

NONE = Augmentation(**{one.name: 0.0 for one in fields(Augmentation)})
SIDE = 64
MANY = 200
"""Faces of one batch: enough to get near both ends of a range."""


def only(**options: float) -> Augmentation:
    return replace(NONE, **options)


def colours(count: int = MANY, side: int = 32) -> Tensor:
    """Return faces of noise that is far from black and white, so that little is clipped."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(90, 166, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def flat(level: int, count: int = MANY) -> Tensor:
    return torch.full((count, 3, 32, 32), level, dtype=torch.uint8)


def discs(x: float, y: float, radius: float) -> Tensor:
    """Return black faces with a white disc; x, y and the radius in pixels from the centre."""
    at = torch.arange(SIDE) - (SIDE - 1) / 2
    inside = (at[None] - x) ** 2 + (at[:, None] - y) ** 2 < radius**2
    return (inside * 255).to(torch.uint8).expand(MANY, 3, -1, -1)


def centroids(faces: Tensor) -> Tensor:
    """Return x and y of each face's brightness, in pixels from the centre."""
    at = torch.arange(SIDE) - (SIDE - 1) / 2
    grey = faces.mean(1)
    total = grey.sum((1, 2))
    return torch.stack([(grey.sum(1) * at).sum(1), (grey.sum(2) * at).sum(1)], 1) / total[:, None]


def drawn(augmentation: Augmentation, faces: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return augmentation(faces)


def assert_fills(values: Tensor, low: float, high: float, slack: float = 0.0) -> None:
    """Assert that values are in a range, up to a measuring error, and get near both ends."""
    margin = 0.15 * (high - low)
    assert low - slack <= float(values.min()) <= low + margin
    assert high - margin <= float(values.max()) <= high + slack


def test_with_all_options_zero_nothing_changes() -> None:
    faces = colours()
    torch.testing.assert_close(NONE(faces), faces.float() / 255, atol=1e-5, rtol=0)


def test_a_mirror_swaps_left_and_right() -> None:
    faces = colours()
    mirrored = only(mirror=1.0)(faces)
    torch.testing.assert_close(mirrored, faces.flip(3).float() / 255, atol=1e-5, rtol=0)
    share = (drawn(only(mirror=0.5), faces) - faces / 255).abs().amax((1, 2, 3)).gt(0.01).float()
    assert 0.35 < float(share.mean()) < 0.65


def test_a_rotation_turns_by_at_most_its_degrees_and_keeps_the_distance() -> None:
    centre = centroids(drawn(only(rotation_degrees=12.0), discs(16, 0, 4)))
    degrees = torch.atan2(centre[:, 1], centre[:, 0]).rad2deg()
    assert_fills(degrees, -12.0, 12.0, slack=0.2)
    torch.testing.assert_close(centre.norm(dim=1), torch.full((MANY,), 16.0), atol=0.1, rtol=0)


def test_a_scale_changes_an_area_by_at_most_its_square() -> None:
    before, after = discs(0, 0, 12), drawn(only(scale=0.12), discs(0, 0, 12))
    sides = (before.float().mean((1, 2, 3)) / 255 / after.mean((1, 2, 3))).sqrt()
    assert_fills(sides, 0.88, 1.12, slack=0.005)
    assert centroids(after).abs().max() < 0.05


def test_a_shift_moves_by_at_most_its_share_of_the_side_along_each_axis() -> None:
    before, after = discs(3, -5, 6), drawn(only(shift=0.06), discs(3, -5, 6))
    moves = (centroids(after) - centroids(before.float())) / SIDE
    for axis in moves.T:
        assert_fills(axis, -0.06, 0.06, slack=1e-3)
    assert abs(float(torch.corrcoef(moves.T)[0, 1])) < 0.3, "each axis is drawn by itself"
    torch.testing.assert_close(after.sum((1, 2, 3)), before.sum((1, 2, 3)) / 255, atol=1, rtol=0)


def test_light_changes_brightness_and_contrast_of_all_pixels_alike() -> None:
    halves = torch.cat([flat(102), flat(153)], 2)
    dark, bright = drawn(only(light=0.25), halves).split(32, 2)
    assert float(dark.std((1, 2, 3)).max()) < 1e-5
    dark, bright = dark[:, 0, 0, 0], bright[:, 0, 0, 0]
    assert_fills((bright - dark) / 0.2, 0.75, 1.25, slack=1e-4)
    assert_fills((bright + dark) / 2 - 0.5, -0.25, 0.25, slack=1e-4)


def test_gamma_changes_grey_but_not_black_and_white() -> None:
    grey = drawn(only(gamma=0.3), flat(64))[:, 0, 0, 0]
    assert_fills((grey.log() / math.log(64 / 255)).log(), -0.3, 0.3, slack=1e-4)
    for end in (0, 255):
        assert bool((drawn(only(gamma=0.3), flat(end)) == end / 255).all())


def test_noise_is_grey_with_mean_zero_and_a_std_up_to_its_option() -> None:
    change = drawn(only(noise=0.02), flat(128)) - 128 / 255
    torch.testing.assert_close(change[:, 0], change[:, 2])
    assert_fills(change[:, 0].std((1, 2)), 0.0, 0.02, slack=0.001)
    assert abs(float(change.mean())) < 1e-3


def test_a_grey_face_has_its_luminance_in_all_channels() -> None:
    faces = colours()
    grey = only(grey=1.0)(faces)
    expected = torch.einsum("c,bchw->bhw", torch.tensor(LUMINANCE), faces.float() / 255)
    for channel in range(3):
        torch.testing.assert_close(grey[:, channel], expected, atol=1e-4, rtol=0)


def test_an_erased_patch_is_one_rectangle_of_mean_grey_up_to_a_third_of_each_side() -> None:
    faces = colours(side=60)
    covered, sides = drawn(only(erase=1.0), faces), []
    changed = (covered - faces / 255).abs().amax(1) > 1e-4
    for face, mask, grey in zip(covered, changed, faces.float().mean((1, 2, 3)) / 255, strict=True):
        rows, columns = (torch.nonzero(mask.any(axis)).flatten() for axis in (1, 0))
        if len(rows):
            box = face[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            torch.testing.assert_close(box, grey.expand_as(box), atol=1e-3, rtol=0)
            sides.append((len(rows), len(columns)))
    assert len(sides) > MANY * 3 // 4
    assert all(max(side) in (19, 20) for side in zip(*sides, strict=True))
    share = (drawn(only(erase=0.3), faces) - faces / 255).abs().amax((1, 2, 3)) > 1e-4
    assert 0.15 < float(share.float().mean()) < 0.45


def test_a_face_with_fewer_pixels_loses_detail_and_keeps_its_mean() -> None:
    faces = colours(8).float() / 255
    for seed in range(5):
        coarse = drawn(only(blur=1.0), colours(8), seed)
        assert bool((coarse.std((1, 2, 3)) < faces.std((1, 2, 3))).all())
        torch.testing.assert_close(coarse.mean((2, 3)), faces.mean((2, 3)), atol=0.01, rtol=0)
    changed = (drawn(only(blur=0.25), colours()) - colours() / 255).abs().amax((1, 2, 3)) > 0.01
    assert 0.1 < float(changed.float().mean()) < 0.4


def test_jpeg_changes_its_share_of_the_faces_a_little() -> None:
    change = (drawn(only(jpeg=0.5), colours()) - colours() / 255).abs().mean((1, 2, 3))
    assert 0.35 < float((change > 1e-3).float().mean()) < 0.65
    assert float(change.max()) < 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_without_blurred_faces_works_on_a_gpu() -> None:
    faces = colours(4).cuda()
    assert bool((only(blur=0.0).lower_resolution(faces.float()) == faces).all())


@pytest.mark.parametrize("option", ["blur", "jpeg"])
def test_every_changed_face_stays_at_its_place_in_the_batch(option: str) -> None:
    shades = torch.arange(MANY, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    changed = drawn(only(**{option: 0.5}), shades)
    torch.testing.assert_close(changed, shades.float() / 255, atol=0.01, rtol=0)


def test_faces_stay_in_range_and_depend_on_the_seed() -> None:
    faces = torch.randint(256, (8, 3, 48, 48), dtype=torch.uint8)
    first = drawn(Augmentation(), faces, seed=3)
    assert torch.equal(first, drawn(Augmentation(), faces, seed=3))
    assert not torch.equal(first, Augmentation()(faces))
    assert 0 <= first.min() <= first.max() <= 1
    differing = [only(**{one.name: getattr(Augmentation(), one.name)}) for one in fields(NONE)]
    for one in differing:
        assert not torch.equal(drawn(one, faces), drawn(one, faces, seed=1)), one
