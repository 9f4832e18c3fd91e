"""The parts of pix2pixHD's generators that turn a face and a condition into features."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.models.pix2pixhd.generator_config import GeneratorConfig, Upsampling
from training.models.pix2pixhd.resampling import enlarge

STYLE_STD = 0.7
"""Std of a block's initial style weights. A change of an expression is a vector about 1 long; with
this std its effect on a map is as large as the map itself. With PyTorch's own initialisation, a
fifth of that, the generator did not learn in 500 steps to use the expression."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with reflection padding, beside a plain shortcut.

    Args:
        channels: channels of the map.
        dims: length of the condition that scales and shifts the maps; 0 for none.
    """

    def __init__(self, channels: int, dims: int = 0) -> None:
        super().__init__()
        self.first = nn.Sequential(*_reflected(channels))
        self.second = nn.Sequential(*_reflected(channels))
        self.style = nn.Linear(dims, 4 * channels, bias=False) if dims else None
        if self.style is not None:
            nn.init.normal_(self.style.weight, 0, STYLE_STD)

    def forward(
        self, x: Float[Tensor, "batch c h w"], expression: Float[Tensor, "batch dims"]
    ) -> Float[Tensor, "batch c h w"]:
        """Return the map, of the same size."""
        if self.style is None:
            plain: Tensor = x + self.second(self.first(x).relu())
            return plain
        gain, offset, second_gain, second_offset = (
            self.style(expression)[:, :, None, None].float().chunk(4, 1)
        )
        inner = (self.first(x) * (1 + gain) + offset).relu()
        styled: Tensor = x + self.second(inner) * (1 + second_gain) + second_offset
        return styled


class GlobalFeatures(nn.Module):
    """The global generator up to its last features, `channels` at the size of its input."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.condition_input = config.condition_input
        planes = config.dims if config.condition_input == "planes" else 0
        widths = [config.channels * 2**i for i in range(config.downsamplings + 1)]
        self.down = nn.Sequential(
            *_first(planes, config.channels),
            *(m for a, b in pairwise(widths) for m in _halved(a, b)),
        )
        styled = config.dims if config.condition_input == "bottleneck" else 0
        self.blocks = nn.ModuleList(ResidualBlock(widths[-1], styled) for _ in range(config.blocks))
        widths.reverse()
        self.up = nn.Sequential(
            *(m for a, b in pairwise(widths) for m in _doubled(a, b, config.upsampling))
        )

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Float[Tensor, "batch c h w"]:
        """Return the features for sources in [-1, 1]."""
        planes = self.condition_input == "planes"
        x = self.down(with_planes(source, expression) if planes else source)
        for block in self.blocks:
            x = block(x, expression)
        features: Tensor = self.up(x)
        return features


class LocalFeatures(nn.Module):
    """The local enhancer: half as many features, at the full size."""

    def __init__(self, config: GeneratorConfig, blocks: int = 3) -> None:
        super().__init__()
        self.condition_input = config.condition_input
        half = config.channels // 2
        planes = config.dims if config.condition_input == "planes" else 0
        self.down = nn.Sequential(*_first(planes, half), *_halved(half, config.channels))
        self.blocks = nn.ModuleList(ResidualBlock(config.channels) for _ in range(blocks))
        self.up = nn.Sequential(*_doubled(config.channels, half, config.upsampling))

    def forward(
        self,
        source: Float[Tensor, "batch 3 h w"],
        expression: Float[Tensor, "batch dims"],
        features: Float[Tensor, "batch c p q"],
    ) -> Float[Tensor, "batch half h w"]:
        """Return the features for sources in [-1, 1] and the global generator's features."""
        planes = self.condition_input == "planes"
        x = self.down(with_planes(source, expression) if planes else source)
        x = x + enlarge(features, x)
        for block in self.blocks:
            x = block(x, expression)
        enhanced: Tensor = self.up(x)
        return enhanced


def with_planes(
    x: Float[Tensor, "batch c h w"], expression: Float[Tensor, "batch dims"]
) -> Float[Tensor, "batch both h w"]:
    """Return a map with each number of the expression as a constant plane beside it."""
    planes = expression[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], 1)


def _first(planes: int, outputs: int) -> list[nn.Module]:
    """Return the first layer, without normalisation if its input has planes.

    Our decision: a constant plane adds one number to a whole map, and instance normalisation
    subtracts the mean of a map: the picture would not depend on the expression.
    """
    norm = nn.Identity() if planes else nn.InstanceNorm2d(outputs)
    return [nn.ReflectionPad2d(3), nn.Conv2d(3 + planes, outputs, 7), norm, nn.ReLU()]


def _reflected(channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]


def _halved(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.InstanceNorm2d(outputs), nn.ReLU()]


def _doubled(inputs: int, outputs: int, upsampling: Upsampling) -> list[nn.Module]:
    convolution: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)]
    if upsampling == "resize":
        convolution = [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
    return [*convolution, nn.InstanceNorm2d(outputs), nn.ReLU()]
