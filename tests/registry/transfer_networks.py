"""Small networks with the operators of a real generator and encoder."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class Generator(nn.Module):
    """A generator's operators: planes, reflected edges, instance normalisation, a mask."""

    def __init__(
        self, upsampling: Literal["transposed", "resize"] = "resize", dims: int = 16
    ) -> None:
        super().__init__()
        up: list[nn.Module] = [nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1)]
        if upsampling == "resize":
            up = [nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1)]
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3 + dims, 4, 7), nn.ReLU()),
            *(nn.Conv2d(4, 8, 3, 2, 1), nn.InstanceNorm2d(8), nn.ReLU()),
            *(*up, nn.InstanceNorm2d(4), nn.ReLU()),
            *(nn.ReflectionPad2d(3), nn.Conv2d(4, 4, 7)),
        )

    def forward(self, faces: Tensor, change: Tensor) -> dict[str, Tensor]:
        planes = change[:, :, None, None].expand(-1, -1, *faces.shape[2:])
        output = self.body(torch.cat([faces * 2 - 1, planes], 1))
        mask = output[:, 3:].sigmoid()
        picture = torch.lerp(faces, output[:, :3].tanh() / 2 + 0.5, mask)
        return {"picture": picture, "mask": mask}


class Encoder(nn.Module):
    """An encoder that cuts its own, smaller part out of the faces."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2)
        self.expression = nn.Linear(8, 16)

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        inner = functional.interpolate(faces[..., 4:28, 4:28], 16, mode="bilinear", antialias=True)
        features = self.convolution(inner).relu().mean((2, 3))
        expression = functional.normalize(self.expression(features), dim=1)
        return {"expression": expression, "identity": functional.normalize(features, dim=1)}


class ConditionEncoder(Encoder):
    """An encoder whose condition is more than its expression."""

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        outputs = super().forward(faces)
        condition = torch.cat([outputs["expression"], outputs["identity"]], 1)
        return outputs | {"condition": condition}
