"""pix2pixHD's generators, given an expression beside the source face.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(CVPR 2018). The paper of the DLN shows the expression as planes beside the source picture; the
bottleneck, resize-convolutions, the mask and the warp are our options.
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
Enhancer = Literal["none", "whole", "added"]
FARTHEST = 0.3
"""How far a pixel is moved at most, in half sides of the picture."""
STYLE_DEVIATION = 0.7
"""Changes of an expression are about 1 long: what they do to a map is then as large as the map.
With torch's own draw, a fifth of that, the generator didn't find in 500 steps what they are for."""
HEAD = 0.1
"""What logits of mask and flow are multiplied by: they sum over so many maps that a step of the
optimiser would otherwise throw pixels about."""
FAINT = -2.0
"""The mask's logit to begin with."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """The generator's shape; the defaults are pix2pixHD's global generator."""

    dims: int = 16
    """Length of the expression it is given; 0 gives it none."""
    where: Where = "planes"
    """Where the expression comes in: as constant planes beside the source, or in the residual
    blocks, where it scales and moves what their normalisations give (Huang and Belongie, Arbitrary
    Style Transfer in Real-time with Adaptive Instance Normalization, ICCV 2017)."""
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
    warp: bool = False
    """Also move the source's pixels, smoothly: what is not drawn anew then keeps its texture."""
    seen_px: int | None = None
    """Side of the copy it looks at and draws: larger pictures get flow, mask and what is drawn
    enlarged, while what is only moved keeps its own pixels."""
    enhancer: Enhancer = "none"
    """The local enhancer, with half as many channels at full size. As published it draws the
    `whole`, from what the global generator makes of faces of half the side. Or what it draws is
    `added` to what the global generator draws of its copy of `seen_px`, whose flow stays; ours: it
    can begin where a trained global generator ends, and changes nothing at first."""


class Transferred(NamedTuple):
    """A generated picture, and where it is not the source's own: 0 nothing, 1 drawn anew."""

    picture: Float[Tensor, "batch 3 h w"]
    mask: Float[Tensor, "batch 1 h w"]
    flow: Float[Tensor, "batch 2 h w"]
    """From how far each pixel was fetched: right, down, in half sides; 0 without a warp."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions over reflected edges, beside a plain shortcut.

    Args:
        channels: of the map.
        dims: length of the expression that styles the block; 0 for none.
    """

    def __init__(self, channels: int, dims: int = 0) -> None:
        super().__init__()
        self.first = nn.Sequential(*_reflected(channels))
        self.second = nn.Sequential(*_reflected(channels))
        self.style = nn.Linear(dims, 4 * channels, bias=False) if dims else None
        if self.style is not None:
            nn.init.normal_(self.style.weight, 0, STYLE_DEVIATION)

    def forward(
        self, x: Float[Tensor, "batch c h w"], expression: Float[Tensor, "batch dims"]
    ) -> Float[Tensor, "batch c h w"]:
        """Return the map."""
        if self.style is None:
            plain: Tensor = x + self.second(self.first(x).relu())
            return plain
        gain, move, second_gain, second_move = (
            self.style(expression)[:, :, None, None].float().chunk(4, 1)
        )
        inner = (self.first(x) * (1 + gain) + move).relu()
        styled: Tensor = x + self.second(inner) * (1 + second_gain) + second_move
        return styled


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
        styled = config.dims if config.where == "bottleneck" else 0
        self.blocks = nn.ModuleList(ResidualBlock(widths[-1], styled) for _ in range(config.blocks))
        widths.reverse()
        self.up = nn.Sequential(
            *(m for a, b in pairwise(widths) for m in _doubled(a, b, config.upsampling))
        )

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Float[Tensor, "batch c h w"]:
        """Return the features for sources in [-1, 1]."""
        x = self.down(source if self.where == "bottleneck" else with_planes(source, expression))
        for block in self.blocks:
            x = block(x, expression)
        features: Tensor = self.up(x)
        return features


class LocalFeatures(nn.Module):
    """The local enhancer: half as many features, at the full size."""

    def __init__(self, config: GeneratorConfig, blocks: int = 3) -> None:
        super().__init__()
        self.where = config.where
        half = config.channels // 2
        planes = config.dims if config.where == "planes" else 0
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
        x = self.down(with_planes(source, expression) if self.where == "planes" else source)
        x = x + _enlarged(features, x)
        for block in self.blocks:
            x = block(x, expression)
        enhanced: Tensor = self.up(x)
        return enhanced


class Generator(nn.Module):
    """Source face and expression -> the picture, and the mask of what changed."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.outputs = [3, int(config.mask), 2 * config.warp]
        self.features = GlobalFeatures(config)
        self.enhancer = None if config.enhancer == "none" else LocalFeatures(config)
        half = config.channels // 2
        whole = config.enhancer == "whole"
        self.last = _last(half if whole else config.channels, sum(self.outputs))
        self.added = _last(half, sum(self.outputs[:2])) if config.enhancer == "added" else None

    def settled(self) -> "Generator":
        """Begin with faces that mostly stay as they are, if there is a mask; return itself."""
        weight, bias = _kernel(self.last)
        with torch.no_grad():
            weight[3:] = 0
            bias[3:] = 0
            bias[3 : 3 + self.outputs[1]] = FAINT / HEAD
            for parameter in _kernel(self.added) if self.added is not None else ():
                parameter.zero_()
        return self

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Transferred:
        """Return pictures and masks in [0, 1] for RGB sources in [0, 1].

        Sides are multiples of 2 to the power of all halvings. Without mask and warp all is drawn
        anew, and the mask is 1.
        """
        picture, mask, flow = self._drawn(source, expression)
        picture = picture.tanh() / 2 + 0.5
        anew = (HEAD * mask).sigmoid() if self.config.mask else torch.ones_like(picture[:, :1])
        if not self.config.warp:
            still = torch.zeros_like(picture[:, :2])
            return Transferred(torch.lerp(source, picture, anew), anew, still)
        flow = FARTHEST * (HEAD * _enlarged(smooth(flow), source)).tanh()
        moved = (flow * source.shape[-1] / 2).square().sum(1, keepdim=True)
        kept = (1 - anew) * (-moved).exp()
        return Transferred(torch.lerp(warped(source, flow), picture, anew), 1 - kept, flow)

    def _drawn(self, source: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return picture and mask at the source's size, and the flow, before their ranges."""
        seen = self._seen(source)
        small, full = seen * 2 - 1, source * 2 - 1
        if self.enhancer is not None and self.added is None:
            smaller = functional.avg_pool2d(small, 3, 2, 1, count_include_pad=False)
            features = self.enhancer(small, expression, self.features(smaller, expression))
        else:
            features = self.features(small, expression)
        shown = sum(self.outputs[:2])
        both, flow = self.last(features).float().split([shown, self.outputs[2]], 1)
        both = _enlarged(both, source)
        if self.enhancer is not None and self.added is not None and seen is not source:
            both = both + self.added(self.enhancer(full, expression, features)).float()
        picture, mask = both.split(self.outputs[:2], 1)
        return picture, mask, flow

    def _seen(self, source: Tensor) -> Tensor:
        side = self.config.seen_px
        if side is None or source.shape[-1] <= side:
            return source
        return functional.interpolate(source, (side, side), mode="bilinear", antialias=True)


def _enlarged(part: Tensor, source: Tensor) -> Tensor:
    size = source.shape[-2:]
    return part if part.shape[-2:] == size else functional.interpolate(part, size, mode="bilinear")


def smooth(flow: Float[Tensor, "batch 2 h w"]) -> Float[Tensor, "batch 2 h w"]:
    """Return a flow without what is finer than four pixels."""
    coarse = functional.avg_pool2d(flow, 4)
    return functional.interpolate(coarse, scale_factor=4, mode="bilinear")


def warped(
    source: Float[Tensor, "batch 3 h w"], flow: Float[Tensor, "batch 2 h w"]
) -> Float[Tensor, "batch 3 h w"]:
    """Return the source where each pixel is fetched from `flow` away: right, down, half sides."""
    height, width = source.shape[-2:]
    down = (torch.arange(height, device=source.device) * 2 + 1) / height - 1
    right = (torch.arange(width, device=source.device) * 2 + 1) / width - 1
    here = torch.stack([right.expand(height, width), down[:, None].expand(height, width)])
    places = (here + flow).permute(0, 2, 3, 1)
    return functional.grid_sample(source, places, padding_mode="border", align_corners=False)


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


def _last(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7))


def _kernel(last: nn.Sequential) -> tuple[Tensor, Tensor]:
    convolution = last[1]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    return convolution.weight, convolution.bias


def _reflected(channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]


def _halved(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.InstanceNorm2d(outputs), nn.ReLU()]


def _doubled(inputs: int, outputs: int, upsampling: Upsampling) -> list[nn.Module]:
    convolution: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)]
    if upsampling == "resize":
        convolution = [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
    return [*convolution, nn.InstanceNorm2d(outputs), nn.ReLU()]
