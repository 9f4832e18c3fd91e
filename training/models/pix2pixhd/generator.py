"""pix2pixHD's generators: a source face and the change of its expression -> the changed face.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(CVPR 2018). The paper of the DLN shows the expression as planes beside the source picture; the
bottleneck, resize-convolutions, the mask and the warp are our options.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.pix2pixhd.features import GlobalFeatures, LocalFeatures
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.resampling import enlarge, smooth, warped

MAX_FLOW = 0.3
"""Largest distance that a pixel is moved, in half sides of the picture."""
LOGIT_SCALE = 0.1
"""Factor of the logits of mask and flow. They are sums over many maps: without it, one step of the
optimiser would change them by too much."""
FIRST_MASK_LOGIT = -2.0
"""The mask's logit before training."""


class Transferred(NamedTuple):
    """A generator's outputs for a batch."""

    picture: Float[Tensor, "batch 3 h w"]
    """RGB in [0, 1]."""
    mask: Float[Tensor, "batch 1 h w"]
    """0 where the pixel is the source's own, 1 where it is new."""
    flow: Float[Tensor, "batch 2 h w"]
    """How far to the right and down each pixel was fetched from, in half sides; 0 without warp."""


class Generator(nn.Module):
    """Source face and change of its condition -> picture, mask and flow."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.outputs = [3, int(config.mask), 2 * config.warp]
        """Channels of picture, mask and flow."""
        self.features = GlobalFeatures(config)
        self.enhancer = None if config.enhancer == "none" else LocalFeatures(config)
        half = config.channels // 2
        whole = config.enhancer == "whole"
        self.last = _last(half if whole else config.channels, sum(self.outputs))
        self.added = _last(half, sum(self.outputs[:2])) if config.enhancer == "added" else None

    def keep_source_at_first(self) -> None:
        """Set the last layers so that the first pictures are nearly the source, if there is a mask.

        The flow and what an added enhancer draws begin at 0.
        """
        weight, bias = _parameters(self.last)
        with torch.no_grad():
            weight[3:] = 0
            bias[3:] = 0
            bias[3 : 3 + self.outputs[1]] = FIRST_MASK_LOGIT / LOGIT_SCALE
            for parameter in _parameters(self.added) if self.added is not None else ():
                parameter.zero_()

    def forward(
        self, source: Float[Tensor, "batch 3 h w"], expression: Float[Tensor, "batch dims"]
    ) -> Transferred:
        """Return pictures and masks in [0, 1] for RGB sources in [0, 1].

        Sides must be multiples of 2 to the number of halvings. Without mask and warp every pixel is
        new, and the mask is 1.
        """
        drawn, mask, flow = self._logits(source, expression)
        drawn = drawn.tanh() / 2 + 0.5
        has_mask = self.config.mask
        share = (LOGIT_SCALE * mask).sigmoid() if has_mask else torch.ones_like(drawn[:, :1])
        if not self.config.warp:
            no_flow = torch.zeros_like(drawn[:, :2])
            return Transferred(torch.lerp(source, drawn, share), share, no_flow)
        flow = MAX_FLOW * (LOGIT_SCALE * enlarge(smooth(flow), source)).tanh()
        squared_px = (flow * source.shape[-1] / 2).square().sum(1, keepdim=True)
        untouched = (1 - share) * (-squared_px).exp()
        return Transferred(torch.lerp(warped(source, flow), drawn, share), 1 - untouched, flow)

    def _logits(self, source: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return picture and mask at the source's size, and the flow at the working size."""
        copy = self._working_copy(source)
        small, full = copy * 2 - 1, source * 2 - 1
        if self.enhancer is not None and self.added is None:
            smaller = functional.avg_pool2d(small, 3, 2, 1, count_include_pad=False)
            features = self.enhancer(small, expression, self.features(smaller, expression))
        else:
            features = self.features(small, expression)
        drawn_channels = sum(self.outputs[:2])
        drawn, flow = self.last(features).float().split([drawn_channels, self.outputs[2]], 1)
        drawn = enlarge(drawn, source)
        if self.enhancer is not None and self.added is not None and copy is not source:
            drawn = drawn + self.added(self.enhancer(full, expression, features)).float()
        picture, mask = drawn.split(self.outputs[:2], 1)
        return picture, mask, flow

    def _working_copy(self, source: Tensor) -> Tensor:
        side = self.config.working_px
        if side is None or source.shape[-1] <= side:
            return source
        return functional.interpolate(source, (side, side), mode="bilinear", antialias=True)


def _last(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7))


def _parameters(last: nn.Sequential) -> tuple[Tensor, Tensor]:
    convolution = last[1]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    return convolution.weight, convolution.bias
