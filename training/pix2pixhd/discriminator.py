"""pix2pixHD's discriminators: the same network at several scales, each a judge of patches."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Features = list[Tensor]
"""What a judge sees, layer by layer; the last is its verdict, one number a patch."""


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
            condition: source in [0, 1] with the expression as planes.
            picture: the real or the generated one, in [0, 1].
        """
        x, seen = torch.cat([condition, picture * 2 - 1], 1), []
        for judge in self.judges:
            seen.append(judge(x))
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return seen


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 4, stride, 2)


def _leak() -> nn.Module:
    return nn.LeakyReLU(0.2)
