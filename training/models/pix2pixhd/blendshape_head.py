"""Whether a result is nearer to the driver, by a network that the generator didn't learn from.

A linear layer on the maps of a frozen face recognition network, fitted to MediaPipe's blendshapes
(`blendshape_fit`). It says what MediaPipe would find, and is no measure independent of it.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from registry.crops import CropSpec
from training.models.backbones.mobilefacenet import (
    FRAME_MARGIN,
    FRAME_PX,
    MIDDLE_STAGES,
    MobileFaceNet,
)
from training.starters import files

COMPONENTS = 16
"""Principal components of the blendshapes."""
POOLED = 2
"""Side of the squares over which the maps of 14 px are averaged."""
INPUTS = 128 * 7 * 7
TRUNK_PREFIX = "trunk."
"""Prefix of the names of MobileFaceNet's weights."""


class BlendshapeHead(nn.Module):
    """Faces -> 16 principal components of their blendshapes, in the units of the blendshapes."""

    crop = CropSpec(size_px=FRAME_PX, margin=FRAME_MARGIN)

    def __init__(self) -> None:
        super().__init__()
        self.trunk = MobileFaceNet()
        # What follows the maps of 14 px isn't used: no version should store it.
        del self.trunk.stages[MIDDLE_STAGES:], self.trunk.last, self.trunk.project
        self.linear = nn.Linear(INPUTS, COMPONENTS)

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 16"]:
        """Return the components for RGB faces in [0, 1], cut by `crop`."""
        components: Tensor = self.linear(self.inputs(faces))
        return components

    def inputs(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 6272"]:
        """Return what the linear layer gets."""
        return functional.avg_pool2d(self.trunk.middle(faces), POOLED).flatten(1)


def untrained_head() -> BlendshapeHead:
    """Return a head with the shipped MobileFaceNet and a linear layer of zeros."""
    head, weights = BlendshapeHead().eval(), files.Starter.open(files.MOBILEFACENET).weights()
    named = {TRUNK_PREFIX + name: value for name, value in weights.items()}
    linear = {f"linear.{k}": torch.zeros_like(v) for k, v in head.linear.state_dict().items()}
    head.load_state_dict({name: (named | linear)[name] for name in head.state_dict()})
    return head


def shipped_head() -> BlendshapeHead:
    """Return the head of the shipped generator.

    Raises:
        FileNotFoundError: it isn't shipped.
    """
    head = untrained_head()
    head.linear.load_state_dict(files.Starter.open(files.BLENDSHAPES).weights())
    return head
