"""MobileFaceNet: a face recognition network of 1.0 M parameters for faces of 112 px.

Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile
Devices" (CCBR 2018): MobileNetV2's inverted residual blocks, whose last map, 7 x 7, is weighed
position by position by a depthwise convolution instead of averaged. The activations are ReLU6 and
ReLU, as in the published weights we ship; the paper has PReLU.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops import Conv2dNormActivation

SIZE_PX = 112
"""Side of the network's input, in pixels."""
FRAME_PX, FRAME_MARGIN = 128, 0.318
"""Size and margin of the crop that the network cuts its input from: its rows from the top, its
columns from the middle. Face recognition networks learn from faces aligned to ArcFace's template
(Deng et al., CVPR 2019), which sit lower in the picture than in our crops. Measured on the
validation persons of lfw-emotion, by cosine: verification AUC 0.988 as cut here, 0.945 from the
middle (benchmarks/identity_frame.py)."""
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion of the channels, channels, blocks, and stride of the first block, stage by stage."""
FINE_STAGES, MIDDLE_STAGES = 1, 3
"""Stages until the maps of 28 px, and until those of 14 px."""


class MobileFaceNet(nn.Module):
    """Face -> unit vector of `width` numbers.

    It takes crops of any size with the margin `FRAME_MARGIN`; of `FRAME_PX` they need no resizing.
    """

    mean: Tensor
    std: Tensor
    width = 128
    features = 512

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.stem = nn.Sequential(
            Conv2dNormActivation(3, 64, 3, 2, activation_layer=nn.ReLU6),
            Conv2dNormActivation(64, 64, 3, groups=64),
            Conv2dNormActivation(64, 64, 1),
        )
        channels = (64, *(stage[1] for stage in STAGES))
        self.stages = nn.ModuleList(
            _stage(inputs, *stage)
            for (inputs, _), stage in zip(pairwise(channels), STAGES, strict=True)
        )
        self.last = Conv2dNormActivation(channels[-1], 512, 1, activation_layer=nn.ReLU6)
        self.project = nn.Sequential(
            Conv2dNormActivation(512, 512, 7, padding=0, groups=512, activation_layer=None),
            Conv2dNormActivation(512, self.width, 1, activation_layer=None),
        )

    def taps(self, faces: Float[Tensor, "batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return feature maps of 56, 28, 14 and 7 px a side.

        `faces` are RGB in [0, 1], with the margin FRAME_MARGIN.
        """
        x = self._first(faces)
        maps = [x]
        for count, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if count in (FINE_STAGES, MIDDLE_STAGES):
                maps.append(x)
        return (*maps, self.last(x))

    def middle(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 128 14 14"]:
        """Return the maps of 14 px alone; what comes after them is not computed."""
        x = self._first(faces)
        for stage in self.stages[:MIDDLE_STAGES]:
            x = stage(x)
        return x

    def _first(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 64 56 56"]:
        maps: Tensor = self.stem((cut_input(faces) - self.mean) / self.std)
        return maps

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 128"]:
        """Return unit vectors for RGB faces in [0, 1], with the margin FRAME_MARGIN."""
        return functional.normalize(self.project(self.taps(faces)[-1]).flatten(1), dim=1)


def cut_input(faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 112 112"]:
    """Return the part of square crops, with the margin FRAME_MARGIN, that the network looks at."""
    side = faces.shape[-1]
    length = side * SIZE_PX // FRAME_PX
    left = (side - length) // 2
    faces = faces[..., :length, left : left + length]
    if length == SIZE_PX:
        return faces
    return functional.interpolate(faces, size=(SIZE_PX, SIZE_PX), mode="bilinear")


def _stage(inputs: int, expansion: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *(
            InvertedResidual(
                inputs if block == 0 else outputs, outputs, stride if block == 0 else 1, expansion
            )
            for block in range(blocks)
        )
    )
