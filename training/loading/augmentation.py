"""What may happen to a face between two cameras, drawn anew at each step for a whole batch."""

import io
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

LUMINANCE = (0.299, 0.587, 0.114)


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
    gamma: float = 0.3
    """Largest change of the exponent of brightness."""
    blur: float = 0.25
    """Probability of a face of fewer pixels; how few, a third of the side at least, all share."""
    jpeg: float = 0.15
    """Probability of JPEG's blocks, quality 20 to 80."""
    noise: float = 0.02
    """Largest standard deviation of a sensor's noise."""
    grey: float = 0.2
    """Probability of a face without colour."""
    erase: float = 0.3
    """Probability of a covered patch of up to a third of the side."""

    def __call__(self, faces: UInt8[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Return float faces in [0, 1], changed by torch's global random generator."""
        x = self.coarse(self.moved(self.compressed(faces).float() / 255))
        return self.covered(self.lit(x))

    @staticmethod
    def _even(shape: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.rand(shape, device=like.device) * 2 - 1

    def moved(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Mirror, turn, scale and shift; edges are repeated outwards."""
        return placed(x, self.placement(x))

    def placement(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 2 3"]:
        """Draw where each pixel of `moved` comes from: maps x, y in -1 to 1, and 1, to such."""
        turn, grow, dx, dy = self._even((4, len(x)), x)
        angle = turn * math.radians(self.rotation_degrees)
        size = 1 + grow * self.scale
        flip = torch.where(torch.rand(len(x), device=x.device) < self.mirror, -1.0, 1.0)
        cos, sin = angle.cos() * size, angle.sin() * size
        rows = [cos * flip, -sin, 2 * dx * self.shift, sin * flip, cos, 2 * dy * self.shift]
        return torch.stack(rows, 1).view(-1, 2, 3)

    def compressed(self, faces: UInt8[Tensor, "batch 3 h w"]) -> UInt8[Tensor, "batch 3 h w"]:
        """Store some faces as JPEG and read them again."""
        faces = faces.clone()
        for at in torch.nonzero(torch.rand(len(faces)) < self.jpeg).flatten().tolist():
            quality = int(torch.randint(20, 81, ()))
            stored = io.BytesIO()
            to_pil_image(faces[at].cpu()).save(stored, "JPEG", quality=quality)
            faces[at] = pil_to_tensor(Image.open(stored)).to(faces.device)
        return faces

    def coarse(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Bring some faces down to fewer pixels and back."""
        chosen = torch.rand(len(x), device=x.device) < self.blur
        share = 1 / 3 + float(torch.rand(())) * 2 / 3
        height, width = x.shape[-2:]
        fewer = (max(1, round(height * share)), max(1, round(width * share)))
        small = functional.interpolate(x[chosen], fewer, mode="bilinear", antialias=True)
        out = x.clone()
        out[chosen] = functional.interpolate(small, (height, width), mode="bilinear")
        return out

    def lit(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Change brightness, contrast, its curve and noise; take the colour of some."""
        each = (len(x), 1, 1, 1)
        grey = torch.rand(each, device=x.device) < self.grey
        x = torch.where(grey, (x * x.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, True), x)
        x = x.clamp(0, 1) ** (self._even(each, x) * self.gamma).exp()
        gain, offset = (self._even(each, x) * self.light for _ in range(2))
        x = (x - 0.5) * (1 + gain) + 0.5 + offset
        grain = torch.rand(each, device=x.device) * self.noise
        return (x + torch.randn_like(x[:, :1]) * grain).clamp(0, 1)

    def covered(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Cover a patch of some faces with their mean grey."""
        height, width = x.shape[-2:]
        top, left, tall, wide, chosen = torch.rand((5, len(x), 1, 1, 1), device=x.device)
        rows = torch.arange(height, device=x.device).view(1, 1, -1, 1) / height
        columns = torch.arange(width, device=x.device).view(1, 1, 1, -1) / width
        inside = (rows >= top) & (rows < top + tall / 3) & (columns >= left)
        patch = inside & (columns < left + wide / 3) & (chosen < self.erase)
        return torch.where(patch, x.mean((1, 2, 3), keepdim=True), x)


def placed(
    x: Float[Tensor, "batch 3 h w"], placement: Float[Tensor, "batch 2 3"]
) -> Float[Tensor, "batch 3 h w"]:
    """Return faces moved as `Augmentation.placement` says; edges are repeated outwards."""
    grid = functional.affine_grid(placement, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


GENTLE = Augmentation(
    rotation_degrees=10.0, light=0.2, gamma=0.2, blur=0.15, jpeg=0.1, noise=0.01, erase=0.2
)
"""For a few epochs on small faces: harder pictures would need longer to be learned."""
