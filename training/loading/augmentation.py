"""Random changes of faces, like those of cameras: drawn at each step for a whole batch."""

import io
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from training.engine.device import constant, send
from training.loading import jpeg

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
JPEG_QUALITIES = (20, 80)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of changes, drawn uniformly for each face; with all zero faces stay unchanged."""

    mirror: float = 0.5
    """Probability of a mirrored face."""
    rotation_degrees: float = 12.0
    """Largest rotation, either way."""
    scale: float = 0.12
    """Largest change of size, as a share of it."""
    shift: float = 0.06
    """Largest shift along each axis, as a share of the side."""
    light: float = 0.25
    """Largest change of brightness (for pixels in [0, 1]) and of contrast (as a share)."""
    gamma: float = 0.3
    """Largest change of the logarithm of gamma, the exponent of the pixels."""
    blur: float = 0.25
    """Probability of a face with fewer pixels: at least a third of the side, one size per batch."""
    jpeg: float = 0.15
    """Probability of JPEG compression, quality 20 to 80."""
    noise: float = 0.02
    """Largest std of grey Gaussian noise, for pixels in [0, 1]."""
    grey: float = 0.2
    """Probability of a face without colour."""
    erase: float = 0.3
    """Probability of a grey patch; its sides are at most a third of the face's."""

    def __call__(self, faces: UInt8[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Return float faces in [0, 1], changed by torch's global random generator."""
        x = self.lower_resolution(self.move(self.compress(faces).float() / 255))
        return self.cover(self.relight(x))

    @staticmethod
    def _symmetric(shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Draw uniformly from [-1, 1)."""
        return torch.rand(shape, device=like.device) * 2 - 1

    def move(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Mirror, rotate, scale and shift; edges are repeated outwards."""
        return warp(x, self.draw_placement(x))

    def draw_placement(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 2 3"]:
        """Draw the affine maps of `move`: from a pixel of the result to where it is read.

        A map takes x, y and 1; x and y go from -1 to 1.
        """
        turn, grow, dx, dy = self._symmetric((4, len(x)), x)
        angle = turn * math.radians(self.rotation_degrees)
        size = 1 + grow * self.scale
        flip = torch.where(torch.rand(len(x), device=x.device) < self.mirror, -1.0, 1.0)
        cos, sin = angle.cos() * size, angle.sin() * size
        rows = [cos * flip, -sin, 2 * dx * self.shift, sin * flip, cos, 2 * dy * self.shift]
        return torch.stack(rows, 1).view(-1, 2, 3)

    def compress(self, faces: UInt8[Tensor, "batch 3 h w"]) -> UInt8[Tensor, "batch 3 h w"]:
        """Store some faces as JPEG and read them again; on a GPU compute what that changes."""
        (low, high), chosen = JPEG_QUALITIES, self._chosen(len(faces), self.jpeg)
        if not len(chosen):
            return faces
        if faces.device.type != "cpu":
            qualities = send(torch.randint(low, high + 1, (len(chosen),)), faces.device)
            rows = send(chosen, faces.device)
            return faces.index_copy(0, rows, jpeg.compressed(faces[rows], qualities))
        faces = faces.clone()
        for index in chosen.tolist():
            quality = int(torch.randint(low, high + 1, ()))
            stored = io.BytesIO()
            to_pil_image(faces[index]).save(stored, "JPEG", quality=quality)
            faces[index] = pil_to_tensor(Image.open(stored))
        return faces

    @staticmethod
    def _chosen(count: int, share: float) -> Int[Tensor, "chosen"]:
        """Draw which of so many faces change; on the CPU, so that their number is known there."""
        return torch.nonzero(torch.rand(count) < share).flatten()

    def lower_resolution(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Scale some faces down to fewer pixels and up again."""
        chosen = self._chosen(len(x), self.blur)
        share = 1 / 3 + float(torch.rand(())) * 2 / 3
        if not len(chosen):  # CUDA can't interpolate an empty batch
            return x
        rows = send(chosen, x.device)
        height, width = x.shape[-2:]
        fewer = (max(1, round(height * share)), max(1, round(width * share)))
        small = functional.interpolate(x[rows], fewer, mode="bilinear", antialias=True)
        return x.index_copy(
            0, rows, functional.interpolate(small, (height, width), mode="bilinear")
        )

    def relight(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Change gamma, contrast and brightness, add noise, and turn some faces grey."""
        each = (len(x), 1, 1, 1)
        grey = torch.rand(each, device=x.device) < self.grey
        x = torch.where(grey, (x * constant(LUMINANCE, x.device).view(1, 3, 1, 1)).sum(1, True), x)
        x = x.clamp(0, 1) ** (self._symmetric(each, x) * self.gamma).exp()
        gain, offset = (self._symmetric(each, x) * self.light for _ in range(2))
        x = (x - 0.5) * (1 + gain) + 0.5 + offset
        std = torch.rand(each, device=x.device) * self.noise
        return (x + torch.randn_like(x[:, :1]) * std).clamp(0, 1)

    def cover(self, x: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        """Cover a patch of some faces with their mean grey."""
        height, width = x.shape[-2:]
        top, left, tall, wide, chosen = torch.rand((5, len(x), 1, 1, 1), device=x.device)
        rows = torch.arange(height, device=x.device).view(1, 1, -1, 1) / height
        columns = torch.arange(width, device=x.device).view(1, 1, 1, -1) / width
        inside = (rows >= top) & (rows < top + tall / 3) & (columns >= left)
        patch = inside & (columns < left + wide / 3) & (chosen < self.erase)
        return torch.where(patch, x.mean((1, 2, 3), keepdim=True), x)


def warp(
    x: Float[Tensor, "batch 3 h w"], placement: Float[Tensor, "batch 2 3"]
) -> Float[Tensor, "batch 3 h w"]:
    """Return faces moved by the maps of `Augmentation.draw_placement`; edges are repeated."""
    grid = functional.affine_grid(placement, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


GENTLE = Augmentation(
    rotation_degrees=10.0, light=0.2, gamma=0.2, blur=0.15, jpeg=0.1, noise=0.01, erase=0.2
)
"""For few epochs on small faces: stronger changes would need longer training."""
