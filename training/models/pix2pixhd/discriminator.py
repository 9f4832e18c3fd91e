"""pix2pixHD's discriminators of patches: the same network at several scales.

And, as our option, discriminators of a perceptual network's maps instead of pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Features = list[Tensor]
"""A discriminator's maps, layer by layer; the last is its score, one number for each patch."""
LEAK = 0.2
SHORT_SIDE_PX = 64
"""Shorter side of the pictures that a perceptual network gets; others are resized."""


class PatchDiscriminator(nn.Module):
    """Picture -> a score for each patch of it (Isola et al., CVPR 2017).

    Args:
        inputs: channels of the input.
        channels: channels of the first layer; doubled at each that follows, up to 512.
        layers: layers of stride 2.
    """

    def __init__(self, inputs: int, channels: int = 64, layers: int = 3) -> None:
        super().__init__()
        widths = [min(512, channels * 2**i) for i in range(layers + 1)]
        strides = [2] * (layers - 1) + [1]
        self.stages = nn.ModuleList([nn.Sequential(_convolution(inputs, channels, 2), _leak())])
        self.stages.extend(
            nn.Sequential(_convolution(a, b, stride), nn.InstanceNorm2d(b), _leak())
            for a, b, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.stages.append(_convolution(widths[-1], 1, 1))

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Features:
        """Return the maps after every layer."""
        return _maps(self.stages, x)


class Discriminator(nn.Module):
    """Discriminators of source, expression and picture, at full size and at halves of it.

    Args:
        dims: length of the expression; 0 for none.
        count: number of discriminators.
        channels: channels of each discriminator's first layer.
    """

    def __init__(self, dims: int = 16, count: int = 2, channels: int = 64) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(6 + dims, channels) for _ in range(count))

    def forward(
        self, condition: Float[Tensor, "batch c h w"], picture: Float[Tensor, "batch 3 h w"]
    ) -> list[Features]:
        """Return each discriminator's maps, the largest scale first.

        Args:
            condition: source in [-1, 1] with the expression as planes.
            picture: the real or the generated one, in [0, 1].
        """
        x, maps = torch.cat([condition, picture * 2 - 1], 1), []
        for discriminator in self.scales:
            maps.append(discriminator(x))
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return maps


class ProjectedDiscriminator(nn.Module):
    """Discriminators of a frozen network's maps of the source and a picture, one for each map.

    Sauer et al., "Projected GANs Converge Faster" (NeurIPS 2021), without their random mixing of
    the maps; the loss stays pix2pixHD's.

    Args:
        perceptual: pictures in [0, 1] to maps, fine to coarse; it is not trained and not part of
            this network's state.
        widths: the channels of these maps. The finest and the coarsest map are left out: the first
            is nearly the pixels, and the last has only a few positions for a part of a face.
        dims: length of the expression.
        channels: channels of each discriminator.
    """

    def __init__(
        self,
        perceptual: Callable[[Tensor], list[Tensor]],
        widths: tuple[int, ...],
        dims: int = 16,
        channels: int = 64,
    ) -> None:
        super().__init__()
        # A tuple, because nn.Module would register the network itself as a part of this one.
        self._perceptual = (perceptual,)
        self.heads = nn.ModuleList(_head(2 * width + dims, channels) for width in _middle(widths))

    def forward(
        self, condition: Float[Tensor, "batch c h w"], picture: Float[Tensor, "batch 3 h w"]
    ) -> list[Features]:
        """Return each discriminator's maps; the arguments are those of `Discriminator`."""
        (perceptual,) = self._perceptual
        with torch.no_grad():
            of_source = _middle(perceptual(_resized((condition[:, :3] + 1) / 2)))
        of_picture = _middle(perceptual(_resized(picture)))
        expression, outputs = condition[:, 3:, :1, :1], []
        for head, source, drawn in zip(self.heads, of_source, of_picture, strict=True):
            planes = expression.expand(-1, -1, *source.shape[2:])
            outputs.append(
                _maps(cast("nn.ModuleList", head), torch.cat([source, drawn, planes], 1))
            )
        return outputs


def _middle(maps: Sequence[Any]) -> Sequence[Any]:
    return maps[1:-1]


def _maps(stages: nn.ModuleList, x: Tensor) -> Features:
    """Return the maps after every stage."""
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return maps


def _resized(pictures: Tensor) -> Tensor:
    scale = SHORT_SIDE_PX / min(pictures.shape[2:])
    size = [round(side * scale) for side in pictures.shape[2:]]
    return functional.interpolate(pictures, size, mode="bilinear", antialias=True)


def _head(inputs: int, channels: int) -> nn.ModuleList:
    first = nn.Conv2d(inputs, channels, 3, 2, 1)
    second = nn.Conv2d(channels, channels, 3, padding=1)
    for convolution in (first, second):
        nn.init.kaiming_normal_(convolution.weight, LEAK)
    stages = [nn.Sequential(first, _leak()), nn.Sequential(second, _leak())]
    return nn.ModuleList([*stages, nn.Conv2d(channels, 1, 1)])


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 4, stride, 2)


def _leak() -> nn.Module:
    return nn.LeakyReLU(LEAK)
