"""The same augmentation for all faces of a pair, and for the points of these faces."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from training.loading.augmentation import Augmentation, warp

Points = Float[Tensor, "batch 2 points 2"]
"""Points of source and target: x and y in -1 to 1; NaN if unknown."""


def augment_alike(
    augmentation: Augmentation,
    faces: Sequence[UInt8[Tensor, "batch 3 h w"]],
    points: Points | None,
) -> tuple[list[Float[Tensor, "batch 3 h w"]], Points | None]:
    """Return faces in [0, 1] and points, augmented by torch's global random generator.

    Args:
        augmentation: its ranges; JPEG's blocks and covered patches are left out.
        faces: several batches. The faces at one place of all batches are changed in the same way.
        points: move with the faces; None if no set has any.
    """
    seed = int(torch.randint(2**31, ()))
    pixels = [each.float() / 255 for each in faces]
    placement = augmentation.draw_placement(pixels[0])
    augmented = []
    for each in pixels:
        torch.manual_seed(seed)
        augmented.append(augmentation.relight(augmentation.lower_resolution(warp(each, placement))))
    return augmented, None if points is None else _move(points, placement)


def shrink(pictures: Float[Tensor, "batch 3 h w"], px: int) -> Float[Tensor, "batch 3 p q"]:
    """Return pictures of `px` x `px` pixels."""
    return functional.interpolate(pictures, (px, px), mode="bilinear", antialias=True)


def _move(points: Points, placement: Float[Tensor, "batch 2 3"]) -> Points:
    """Return the points where `warp` moves them: a placement maps from results to sources."""
    offset = points - placement[:, None, None, :, 2]
    moved: Points = offset @ torch.linalg.inv_ex(placement[:, None, :, :2]).inverse.mT
    return moved
