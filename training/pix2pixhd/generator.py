"""pix2pixHD's generators, given an expression beside the source face.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(CVPR 2018). The paper of the DLN shows the expression as planes beside the source picture; the
bottleneck, resize-convolutions and the mask are our options.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Where = Literal["planes", "bottleneck"]
Upsampling = Literal["transposed", "resize"]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """The generator's shape; the defaults are pix2pixHD's global generator."""

    dims: int = 16
    """Length of the expression it is given; 0 gives it none."""
    where: Where = "planes"
    """Where the expression comes in: as constant planes beside the source, or at the bottleneck."""
    channels: int = 64
    """Channels at full size, doubled at each downsampling."""
    downsamplings: int = 4
    """Halvings of the side before the residual blocks."""
    blocks: int = 9
    """Residual blocks at the bottleneck."""
    upsampling: Upsampling = "transposed"
    """Transposed convolutions as published, or nearest neighbours and a convolution, which leave no
    blobs."""
    mask: bool = False
    """Also draw a mask: where it is 0, the source stays as it is."""
    enhancer: bool = False
    """Put the local enhancer around: the global generator then sees the faces at half their side,
    with `channels` channels, and the enhancer works with half as many at full size."""


class Transferred(NamedTuple):
    """A generated picture, and where it is not the source's own."""

    picture: Float[Tensor, "batch 3 h w"]
    mask: Float[Tensor, "batch 1 h w"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions over reflected edges, beside a plain shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        """Return the map."""
        out: Tensor = x + self.body(x)
        return out


class GlobalFeatures(nn.Module):
    """The global generator up to its last features, `channels` at the size of its input."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.where = config.where
        planes = config.dims if config.where == "planes" else 0
        widths = [config.channels * 2**i for i in range(config.downsamplings + 1)]
        self.down = nn.Sequential(
            *_first(planes, config.channels),
            *(m for a, b in pairwise(widths) for m in _halved(a, b)),
        )
        self.join = (
            nn.Conv2d(widths[-1] + config.dims, widths[-1], 1)
            if config.dims and config.where == "bottleneck"
            else None
        )
        self.blocks = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(config.blocks)))
        widths.reverse()
        self.up = nn.Sequential(
            *(m for a, b in pairwise(widths) for m in _doubled(a, b, config.upsampling))
        )

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Float[Tensor, "batch c h w"]:
        """Return the features for sources in [-1, 1]."""
        if self.join is None:
            return self._through(self.down(with_planes(source, expression)))
        return self._through(self.join(with_planes(self.down(source), expression)))

    def _through(self, x: Tensor) -> Tensor:
        features: Tensor = self.up(self.blocks(x))
        return features


class LocalFeatures(nn.Module):
    """The local enhancer around global features of half the size."""

    def __init__(self, config: GeneratorConfig, blocks: int = 3) -> None:
        super().__init__()
        self.inner = GlobalFeatures(config)
        half = config.channels // 2
        planes = config.dims if config.where == "planes" else 0
        self.down = nn.Sequential(*_first(planes, half), *_halved(half, config.channels))
        self.up = nn.Sequential(
            *(ResidualBlock(config.channels) for _ in range(blocks)),
            *_doubled(config.channels, half, config.upsampling),
        )

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Float[Tensor, "batch c h w"]:
        """Return the features for sources in [-1, 1]."""
        smaller = functional.avg_pool2d(source, 3, 2, 1, count_include_pad=False)
        seen = with_planes(source, expression) if self.inner.join is None else source
        features: Tensor = self.up(self.down(seen) + self.inner(smaller, expression))
        return features


class Generator(nn.Module):
    """Source face and expression -> the picture, and the mask of what changed."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.features = LocalFeatures(config) if config.enhancer else GlobalFeatures(config)
        width = config.channels // 2 if config.enhancer else config.channels
        self.last = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(width, 4 if config.mask else 3, 7)
        )

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Transferred:
        """Return pictures and masks in [0, 1] for RGB sources in [0, 1].

        Sides are multiples of 2 to the power of all halvings. Without the mask option all is 1.
        """
        drawn = self.last(self.features(source * 2 - 1, expression))
        picture = drawn[:, :3].tanh() / 2 + 0.5
        if not self.config.mask:
            return Transferred(picture, torch.ones_like(picture[:, :1]))
        mask = drawn[:, 3:].sigmoid()
        return Transferred(torch.lerp(source, picture, mask), mask)


def with_planes(
    x: Float[Tensor, "batch c h w"], expression: Float[Tensor, "batch dims"]
) -> Float[Tensor, "batch both h w"]:
    """Return a map with each number of the expression as a constant plane beside it."""
    planes = expression[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], 1)


def _first(planes: int, outputs: int) -> list[nn.Module]:
    """Return the first layer, without its normalisation where planes come in.

    Our decision: a constant plane moves a whole map by one number, and instance normalisation takes
    just that away: the picture would not depend on the expression.
    """
    norm = nn.Identity() if planes else nn.InstanceNorm2d(outputs)
    return [nn.ReflectionPad2d(3), nn.Conv2d(3 + planes, outputs, 7), norm, nn.ReLU()]


def _halved(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.InstanceNorm2d(outputs), nn.ReLU()]


def _doubled(inputs: int, outputs: int, upsampling: Upsampling) -> list[nn.Module]:
    convolution: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)]
    if upsampling == "resize":
        convolution = [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
    return [*convolution, nn.InstanceNorm2d(outputs), nn.ReLU()]
