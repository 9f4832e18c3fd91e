"""What the generator and its judges learn from (Wang et al., CVPR 2018)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from training.models.pix2pixhd.discriminator import Features

LEAST_CHANGE = 1e-3
"""Of a picture on average: less is none."""


def adversarial(seen: Sequence[Features], *, real: bool) -> Float[Tensor, ""]:
    """Return the mean squared distance of all verdicts from 1 (real) or 0, summed over the scales.

    Least squares GAN (Mao et al., ICCV 2017).
    """
    aim = 1.0 if real else 0.0
    return torch.stack([(maps[-1] - aim).square().mean() for maps in seen]).sum()


def feature_matching(generated: Sequence[Features], real: Sequence[Features]) -> Float[Tensor, ""]:
    """Return the L1 distance of what the judges see before their verdicts, averaged over scales.

    Each layer weighs 4 / (layers + 1) as published, `layers` being those before the verdict less
    one; no gradient flows through the real picture's side.
    """
    terms = [
        (4 / len(theirs[:-1])) * (mine - true.detach()).abs().mean()
        for ours, theirs in zip(generated, real, strict=True)
        for mine, true in zip(ours[:-1], theirs[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(real)


def pixels(
    picture: Float[Tensor, "batch 3 h w"],
    truth: Float[Tensor, "batch 3 h w"],
    source: Float[Tensor, "batch 3 h w"],
    changed: float,
) -> Float[Tensor, ""]:
    """Return the mean L1 distance to the truth, more of it where the truth is not the source; ours.

    Args:
        picture: what was generated, in [0, 1].
        truth: what it should be.
        source: what it was made of.
        changed: share of the weights that goes by how much truth and source differ around a pixel,
            0 to 1; a picture without any difference has only the rest.
    """
    differs = (truth - source).abs().mean(1, keepdim=True)
    differs = functional.avg_pool2d(differs, 5, 1, 2, count_include_pad=False)
    weight = differs / differs.mean((2, 3), keepdim=True).clamp(min=LEAST_CHANGE)
    return ((1 - changed + changed * weight) * (picture - truth).abs()).mean()


def misplaced(
    flow: Float[Tensor, "batch 2 h w"],
    source: Float[Tensor, "batch points 2"],
    target: Float[Tensor, "batch points 2"],
) -> Float[Tensor, ""]:
    """Return the mean L1 distance of a flow to where points of faces really came from; ours.

    Args:
        flow: from how far each pixel of the result is fetched, in half sides.
        source: where the points lie in the source, x and y in -1 to 1.
        target: where the same points lie in the truth. Those outside the picture don't count, and
            neither do those that are no numbers.
    """
    inside = (target.abs() < 1).all(2)
    source, target = (points.nan_to_num() for points in (source, target))
    there = functional.grid_sample(flow, target[:, :, None], align_corners=False)[..., 0]
    away = (there.mT - (source - target)).abs().sum(2)
    return (away * inside).sum() / inside.sum().clamp(min=1)


def perceptual(
    generated: Sequence[Tensor], real: Sequence[Tensor], weights: Sequence[float]
) -> Float[Tensor, ""]:
    """Return the weighted L1 distance of two pictures' features, fine to coarse.

    Of fewer maps than weights the last weights count.
    """
    terms = [
        weight * (mine - true.detach()).abs().mean()
        for mine, true, weight in zip(generated, real, weights[-len(real) :], strict=True)
    ]
    return torch.stack(terms).sum()
