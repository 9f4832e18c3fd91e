"""The starters' backbone: a residual network small enough to train on two CPU cores.

Half the width of ResNet-18 (He et al., 2016), dense 3x3 convolutions throughout: on a CPU they are
faster than depthwise ones of fewer operations. It uses luminance only (our decision): the faces
the starters learn from are grey, so a tinted light must not change the output.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; stride 2 halves height and width."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated map."""
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.shortcut(x))


class CompactResNet(nn.Module):
    """Face -> unit vector of `width` numbers, about 2.8 M parameters.

    Args:
        width: length of the vector.
        channels: channels of the first stage; doubled at each of the three that follow.
        dropout: share of the pooled features dropped in training.
    """

    luminance: Tensor

    def __init__(self, width: int = 128, channels: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("luminance", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        widths = [channels * 2**stage for stage in range(4)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(widths[max(stage - 1, 0)], out, stride=1 if stage == 0 else 2),
                ResidualBlock(out, out, stride=1),
            )
            for stage, out in enumerate(widths)
        )
        self.features = widths[-1]
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(self.features, width, bias=False)
        self.last_bn = nn.BatchNorm1d(width)

    def taps(self, faces: Float[Tensor, "batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return the feature maps after each of the four stages, fine to coarse.

        `faces` are RGB in [0, 1]; each picture is normalised to mean 0 and std 1.
        """
        grey = (faces * self.luminance).sum(1, keepdim=True)
        std, mean = torch.std_mean(grey, (1, 2, 3), keepdim=True)
        x = self.stem((grey - mean) / (std + 0.05))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch width"]:
        """Return unit vectors for RGB faces in [0, 1]."""
        pooled = self.taps(faces)[-1].mean((2, 3))
        return functional.normalize(self.last_bn(self.last_linear(self.dropout(pooled))), dim=1)
