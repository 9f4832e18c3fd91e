"""The shape of a generator."""

from dataclasses import dataclass
from typing import Literal

ConditionInput = Literal["planes", "bottleneck"]
Upsampling = Literal["transposed", "resize"]
Enhancer = Literal["none", "whole", "added"]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """The generator's shape; the defaults are pix2pixHD's global generator."""

    dims: int = 16
    """Length of the condition, which is the change of the expression; 0 for none."""
    condition_input: ConditionInput = "planes"
    """`planes`: each number of the condition is a constant plane beside the source. `bottleneck`:
    the condition scales and shifts the normalised maps of the residual blocks (Huang and Belongie,
    Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, ICCV 2017)."""
    channels: int = 64
    """Channels at full size, doubled at each downsampling."""
    downsamplings: int = 4
    """Halvings of the side before the residual blocks."""
    blocks: int = 9
    """Residual blocks at the bottleneck."""
    upsampling: Upsampling = "transposed"
    """`transposed`: transposed convolutions, as published. `resize`: nearest neighbours and a
    convolution, which leave no blobs."""
    mask: bool = False
    """Predict a mask too: where it is 0, the result keeps the source's pixels."""
    warp: bool = False
    """Predict a smooth flow too, which moves the source's pixels: what is only moved keeps its
    texture."""
    working_px: int | None = None
    """Side of the copy of larger pictures that the generator computes with; None for the picture
    itself. Its mask, flow and pixels are enlarged, and the flow moves the picture's own pixels."""
    enhancer: Enhancer = "none"
    """The local enhancer, with half as many channels, at full size. `whole`: as published, it draws
    the picture from the features of the global generator, which gets faces of half the side.
    `added`: its pixels and mask are added to those of the global generator, which gets the copy of
    `working_px`, and the flow stays; our addition. At first it adds 0, so that it can start from a
    trained global generator."""
