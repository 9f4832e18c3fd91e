"""pix2pixHD's discriminators: the same network at several scales, each a judge of patches.

And, ours to choose, judges of what a perceptual network sees instead of pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Features = list[Tensor]
"""What a judge sees, layer by layer; the last is its verdict, one number a patch."""
LEAK = 0.2
SHORTEST_PX = 64
"""Side to which pictures are brought before a perceptual network looks at them."""


class PatchDiscriminator(nn.Module):
    """Picture -> a verdict on each patch of it (Isola et al., CVPR 2017).

    Args:
        inputs: channels of what is judged.
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
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Discriminator(nn.Module):
    """Judges of the source, the expression and a picture, at full size and at halves of it.

    Args:
        dims: length of the expression; 0 shows them none.
        scales: how many judges.
        channels: channels of each judge's first layer.
    """

    def __init__(self, dims: int = 16, scales: int = 2, channels: int = 64) -> None:
        super().__init__()
        self.judges = nn.ModuleList(PatchDiscriminator(6 + dims, channels) for _ in range(scales))

    def forward(
        self, condition: Float[Tensor, "batch c h w"], picture: Float[Tensor, "batch 3 h w"]
    ) -> list[Features]:
        """Return each judge's maps, the largest scale first.

        Args:
            condition: source in [-1, 1] with the expression as planes.
            picture: the real or the generated one, in [0, 1].
        """
        x, seen = torch.cat([condition, picture * 2 - 1], 1), []
        for judge in self.judges:
            seen.append(judge(x))
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return seen


class ProjectedDiscriminator(nn.Module):
    """Judges of what a frozen network sees of the source and a picture, one for each of its maps.

    Sauer et al., "Projected GANs Converge Faster" (NeurIPS 2021), without their random mixing of
    the maps; the loss stays pix2pixHD's.

    Args:
        see: pictures in [0, 1] to maps, fine to coarse; no part of this network.
        widths: the channels of these maps. The finest and the coarsest are left out: one is nearly
            the pixels, and of a face's part the other has a handful of numbers.
        dims: length of the expression.
        channels: of each judge.
    """

    def __init__(
        self,
        see: Callable[[Tensor], list[Tensor]],
        widths: tuple[int, ...],
        dims: int = 16,
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.seen_by = (see,)
        self.judges = nn.ModuleList(_head(2 * width + dims, channels) for width in _between(widths))

    def forward(
        self, condition: Float[Tensor, "batch c h w"], picture: Float[Tensor, "batch 3 h w"]
    ) -> list[Features]:
        """Return each judge's maps, as `Discriminator` does."""
        (see,), seen = self.seen_by, []
        with torch.no_grad():
            sources = see(_large((condition[:, :3] + 1) / 2))
        pictures, expression = see(_large(picture)), condition[:, 3:, :1, :1]
        for judge, *maps in zip(self.judges, _between(sources), _between(pictures), strict=True):
            planes = expression.expand(-1, -1, *maps[0].shape[2:])
            x, found = torch.cat([*maps, planes], 1), []
            for stage in judge:  # type: ignore[attr-defined]
                x = stage(x)
                found.append(x)
            seen.append(found)
        return seen


def _between(maps: Sequence[Any]) -> Sequence[Any]:
    return maps[1:-1]


def _large(pictures: Tensor) -> Tensor:
    scale = SHORTEST_PX / min(pictures.shape[2:])
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
