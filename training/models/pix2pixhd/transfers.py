"""A training batch with the generator's results, and the part of it that discriminators get."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from registry.catalog import EXPRESSION_DIMS
from training.models.pix2pixhd.config import Window
from training.models.pix2pixhd.features import with_planes
from training.models.pix2pixhd.generator import Transferred
from training.models.pix2pixhd.pair_augmentation import Points


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferBatch:
    """Augmented faces in [0, 1], the conditions, and the generator's result."""

    source: Float[Tensor, "batch 3 h w"]
    target: Float[Tensor, "batch 3 h w"]
    driver: Float[Tensor, "batch 3 h w"]
    points: Points | None
    change: Float[Tensor, "batch dims"]
    """The driver's condition minus the source's."""
    wanted: Float[Tensor, "batch dims"]
    """The driver's condition."""
    known: Bool[Tensor, "batch"]
    """Whether the target is the truth."""
    with_truth: Int[Tensor, "known"]
    """Positions in the batch of those whose target is the truth; their number is known without
    waiting for a GPU."""
    without_truth: Int[Tensor, "unknown"]
    """Positions of the others."""
    result: Transferred


class DiscriminatorBatch(NamedTuple):
    """What the discriminators get, cut to the score window."""

    condition: Float[Tensor, "batch c p q"]
    """Source in [-1, 1], with the expression as planes."""
    generated: Float[Tensor, "batch 3 p q"]
    """In [0, 1]."""
    real: Float[Tensor, "batch 3 p q"]
    """In [0, 1]."""


def discriminator_batch(batch: TransferBatch, window: Window) -> DiscriminatorBatch:
    """Return what the discriminators get of a batch.

    With a truth: the source, the change of the expression, and the truth as the real picture.
    Without one, our decision: no source (zeros), the driver's expression, and the driver as the
    real picture: they then only decide whether somebody shows that expression.
    """
    rows, numbers = batch.known[:, None, None, None], slice(EXPRESSION_DIMS)
    condition = torch.where(
        rows,
        with_planes(batch.source * 2 - 1, batch.change[:, numbers]),
        with_planes(torch.zeros_like(batch.source), batch.wanted[:, numbers]),
    )
    real = torch.where(rows, batch.target, batch.driver)
    pictures = condition, batch.result.picture, real
    return DiscriminatorBatch(*(_cut(each, window) for each in pictures))


def _cut(pictures: Tensor, window: Window) -> Tensor:
    height, width = pictures.shape[2:]
    edges = zip(window, (height, height, width, width), strict=True)
    top, bottom, left, right = (round(edge * side) for edge, side in edges)
    return pictures[..., top:bottom, left:right]
