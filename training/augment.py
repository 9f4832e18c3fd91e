"""What may happen to a face between two cameras, drawn anew at each step for a whole batch."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges, each drawn evenly for every face; all zero leaves the faces as they are."""

    mirror: float = 0.5
    """Probability of a mirrored face."""
    rotation_degrees: float = 12.0
    """Largest turn, either way."""
    scale: float = 0.12
    """Largest growth or shrinkage."""
    shift: float = 0.06
    """Largest move, as a share of the side."""
    light: float = 0.25
    """Largest change of brightness and of contrast."""
    erase: float = 0.3
    """Probability of a covered patch of up to a third of the side."""

    def __call__(self, faces: UInt8[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Return float faces in [0, 1], changed by torch's global random generator."""
        x = self.moved(faces.float() / 255)
        gain, offset = (self._even((len(x), 1, 1, 1), x) * self.light for _ in range(2))
        x = (x - 0.5) * (1 + gain) + 0.5 + offset
        return self.covered(x.clamp(0, 1))

    @staticmethod
    def _even(shape: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.rand(shape, device=like.device) * 2 - 1

    def moved(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Mirror, turn, scale and shift; edges are repeated outwards."""
        turn, grow, dx, dy = self._even((4, len(x)), x)
        angle = turn * math.radians(self.rotation_degrees)
        size = 1 + grow * self.scale
        flip = torch.where(torch.rand(len(x), device=x.device) < self.mirror, -1.0, 1.0)
        cos, sin = angle.cos() * size, angle.sin() * size
        rows = [cos * flip, -sin, 2 * dx * self.shift, sin * flip, cos, 2 * dy * self.shift]
        grid = functional.affine_grid(
            torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False
        )
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def covered(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Cover a patch of some faces with their mean grey."""
        height, width = x.shape[-2:]
        top, left, tall, wide, chosen = torch.rand((5, len(x), 1, 1, 1), device=x.device)
        rows = torch.arange(height, device=x.device).view(1, 1, -1, 1) / height
        columns = torch.arange(width, device=x.device).view(1, 1, 1, -1) / width
        inside = (rows >= top) & (rows < top + tall / 3) & (columns >= left)
        patch = inside & (columns < left + wide / 3) & (chosen < self.erase)
        return torch.where(patch, x.mean((1, 2, 3), keepdim=True), x)
