"""The formulas of the generator's and the discriminators' losses (Wang et al., CVPR 2018)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from registry.catalog import EXPRESSION_DIMS
from training.models.pix2pixhd.discriminator import Features

MIN_MEAN_CHANGE = 1e-3
"""Mean difference of truth and source, in [0, 1], below which a picture counts as unchanged."""


def adversarial(scales: Sequence[Features], *, real: bool) -> Float[Tensor, ""]:
    """Return the mean squared distance of all scores from 1 (real) or 0, summed over the scales.

    Least squares GAN (Mao et al., ICCV 2017).
    """
    target = 1.0 if real else 0.0
    return torch.stack([(maps[-1] - target).square().mean() for maps in scales]).sum()


def feature_matching(generated: Sequence[Features], real: Sequence[Features]) -> Float[Tensor, ""]:
    """Return the L1 distance of the discriminators' maps before the score, averaged over scales.

    Each layer weighs 4 / (layers + 1) as published; `layers` is their number before the score minus
    one. No gradient flows to the real picture's maps.
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
    changed_share: float,
) -> Float[Tensor, ""]:
    """Return the weighted mean L1 distance to the truth; our addition.

    Args:
        picture: the generated picture, in [0, 1].
        truth: the true picture.
        source: the generator's input.
        changed_share: share of a pixel's weight, 0 to 1, that is proportional to how much truth and
            source differ in the 5 x 5 pixels around; where they do not differ at all it is 0.
    """
    change = (truth - source).abs().mean(1, keepdim=True)
    change = functional.avg_pool2d(change, 5, 1, 2, count_include_pad=False)
    weight = change / change.mean((2, 3), keepdim=True).clamp(min=MIN_MEAN_CHANGE)
    return ((1 - changed_share + changed_share * weight) * (picture - truth).abs()).mean()


def flow_error(
    flow: Float[Tensor, "batch 2 h w"],
    source: Float[Tensor, "batch points 2"],
    target: Float[Tensor, "batch points 2"],
) -> Float[Tensor, ""]:
    """Return the mean L1 distance of a flow to the true motion of points of faces; our addition.

    Args:
        flow: how far each pixel of the result is fetched from, in half sides.
        source: positions of the points in the source, x and y in -1 to 1.
        target: positions of the same points in the truth. Points outside the picture or NaN are
            left out.
    """
    inside = (target.abs() < 1).all(2)
    source, target = (points.nan_to_num() for points in (source, target))
    at_points = functional.grid_sample(flow, target[:, :, None], align_corners=False)[..., 0]
    error = (at_points.mT - (source - target)).abs().sum(2)
    return (error * inside).sum() / inside.sum().clamp(min=1)


def expression(difference: Float[Tensor, "batch dims"]) -> Float[Tensor, ""]:
    """Return the mean squared distance of expression vectors to the wanted ones; our addition.

    Args:
        difference: conditions of results minus the wanted ones; each begins with the expression.
    """
    return difference[:, :EXPRESSION_DIMS].square().sum(1).mean()


def perceptual(
    generated: Sequence[Tensor], real: Sequence[Tensor], weights: Sequence[float]
) -> Float[Tensor, ""]:
    """Return the weighted L1 distance of two pictures' feature maps, fine to coarse.

    If there are fewer maps than weights, the last weights are used. No gradient flows to the real
    picture's maps.
    """
    terms = [
        weight * (mine - true.detach()).abs().mean()
        for mine, true, weight in zip(generated, real, weights[-len(real) :], strict=True)
    ]
    return torch.stack(terms).sum()
