"""The loss of JPEG compression, computed on a GPU: no file is written, so nothing is copied.

ITU-T T.81 with the tables of its annex K, scaled to a quality as libjpeg does it, and colour at
half the resolution (4:2:0). The entropy coding that follows loses nothing and is left out.
"""

import math

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from training.engine.device import constant

SIDE = 8
"""Side of a block, in pixels."""
LUMINANCE_TABLE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
COLOUR_TABLE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
TO_YCC = (0.299, 0.587, 0.114, -0.168736, -0.331264, 0.5, 0.5, -0.418688, -0.081312)
"""RGB to luminance, blue and red difference (JFIF), row by row."""
TO_RGB = (1.0, 0.0, 1.402, 1.0, -0.344136, -0.714136, 1.0, 1.772, 0.0)
DCT = tuple(
    math.sqrt((1 if u == 0 else 2) / SIDE) * math.cos((2 * x + 1) * u * math.pi / (2 * SIDE))
    for u in range(SIDE)
    for x in range(SIDE)
)
"""The discrete cosine transform of 8 numbers: an orthogonal matrix, row by row."""


def compressed(
    faces: UInt8[Tensor, "batch 3 h w"], qualities: Int[Tensor, "batch"]
) -> UInt8[Tensor, "batch 3 h w"]:
    """Return faces as they look after JPEG compression.

    Args:
        faces: RGB.
        qualities: of each face, 1 to 100, on the faces' device.
    """
    height, width = faces.shape[2:]
    whole = functional.pad(
        faces.float(), (0, -width % (2 * SIDE), 0, -height % (2 * SIDE)), mode="replicate"
    )
    ycc = _mixed(whole, TO_YCC).round() - torch.where(_is_luminance(faces), 128.0, 0.0)
    luminance = _quantised(ycc[:, :1], LUMINANCE_TABLE, qualities)
    small = _quantised(functional.avg_pool2d(ycc[:, 1:], 2).round(), COLOUR_TABLE, qualities)
    colour = functional.interpolate(small, scale_factor=2, mode="bilinear")
    rgb = _mixed(torch.cat([luminance + 128, colour], 1), TO_RGB)
    return rgb[..., :height, :width].round().clamp(0, 255).byte()


def _is_luminance(faces: Tensor) -> Tensor:
    return torch.arange(3, device=faces.device).view(3, 1, 1) == 0


def _mixed(x: Float[Tensor, "batch 3 h w"], matrix: tuple[float, ...]) -> Tensor:
    mixed: Tensor = torch.einsum("oc,bchw->bohw", constant(matrix, x.device).view(3, 3), x)
    return mixed


def _quantised(
    x: Float[Tensor, "batch c h w"], table: tuple[int, ...], qualities: Int[Tensor, "batch"]
) -> Float[Tensor, "batch c h w"]:
    """Return planes whose blocks' coefficients are rounded to multiples of the table's numbers."""
    transform = constant(DCT, x.device).view(SIDE, SIDE)
    scale = torch.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    numbers = constant(table, x.device).view(SIDE, SIDE)
    steps = ((numbers * scale.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255)
    blocks = x.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE)).transpose(3, 4)
    steps = steps[:, None, None, None]
    coefficients = (transform @ blocks @ transform.T / steps).round() * steps
    restored: Tensor = transform.T @ coefficients @ transform
    return restored.transpose(3, 4).flatten(4, 5).flatten(2, 3)
