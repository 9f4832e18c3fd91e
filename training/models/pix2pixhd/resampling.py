"""Pictures and flows at another size, and pictures moved by a flow."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def enlarge(
    part: Float[Tensor, "batch c p q"], source: Float[Tensor, "batch d h w"]
) -> Float[Tensor, "batch c h w"]:
    """Return a map at the size of another."""
    size = source.shape[-2:]
    return part if part.shape[-2:] == size else functional.interpolate(part, size, mode="bilinear")


def smooth(flow: Float[Tensor, "batch 2 h w"]) -> Float[Tensor, "batch 2 h w"]:
    """Return a flow without details finer than four pixels."""
    coarse = functional.avg_pool2d(flow, 4)
    return functional.interpolate(coarse, scale_factor=4, mode="bilinear")


def warped(
    source: Float[Tensor, "batch 3 h w"], flow: Float[Tensor, "batch 2 h w"]
) -> Float[Tensor, "batch 3 h w"]:
    """Return the source, each pixel fetched from `flow` to the right and down, in half sides."""
    height, width = source.shape[-2:]
    down = (torch.arange(height, device=source.device) * 2 + 1) / height - 1
    right = (torch.arange(width, device=source.device) * 2 + 1) / width - 1
    here = torch.stack([right.expand(height, width), down[:, None].expand(height, width)])
    places = (here + flow).permute(0, 2, 3, 1)
    return functional.grid_sample(source, places, padding_mode="border", align_corners=False)
