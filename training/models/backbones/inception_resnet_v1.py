"""InceptionResnetV1, the backbone of the paper, with facenet-pytorch's parameter names.

Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning"
(2016), in FaceNet's variant. Published VGGFace2 and CASIA weights load by name.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class BasicConv2d(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated map."""
        return functional.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Parallel branches, concatenated, projected by `conv2d`, scaled and added to the input."""

    def __init__(
        self, branches: dict[str, nn.Module], channels: int, width: int, scale: float, relu: bool
    ) -> None:
        super().__init__()
        self.branches = tuple(branches)
        for name, branch in branches.items():
            self.add_module(name, branch)
        self.conv2d = nn.Conv2d(width, channels, 1)
        self.scale = scale
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the input's shape."""
        mixed = torch.cat([self.get_submodule(name)(x) for name in self.branches], 1)
        out = self.conv2d(mixed) * self.scale + x
        return functional.relu(out) if self.relu else out


def block35() -> Residual:
    """Return Inception-ResNet-A: 256 channels, scale 0.17."""
    branches = {
        "branch0": BasicConv2d(256, 32, 1),
        "branch1": nn.Sequential(BasicConv2d(256, 32, 1), BasicConv2d(32, 32, 3, padding=1)),
        "branch2": nn.Sequential(
            BasicConv2d(256, 32, 1),
            BasicConv2d(32, 32, 3, padding=1),
            BasicConv2d(32, 32, 3, padding=1),
        ),
    }
    return Residual(branches, 256, 96, 0.17, relu=True)


def block17() -> Residual:
    """Return Inception-ResNet-B: 896 channels, scale 0.10."""
    branches = {
        "branch0": BasicConv2d(896, 128, 1),
        "branch1": nn.Sequential(
            BasicConv2d(896, 128, 1),
            BasicConv2d(128, 128, (1, 7), padding=(0, 3)),
            BasicConv2d(128, 128, (7, 1), padding=(3, 0)),
        ),
    }
    return Residual(branches, 896, 256, 0.10, relu=True)


def block8(scale: float = 0.20, relu: bool = True) -> Residual:
    """Return Inception-ResNet-C: 1792 channels, scale 0.20."""
    branches = {
        "branch0": BasicConv2d(1792, 192, 1),
        "branch1": nn.Sequential(
            BasicConv2d(1792, 192, 1),
            BasicConv2d(192, 192, (1, 3), padding=(0, 1)),
            BasicConv2d(192, 192, (3, 1), padding=(1, 0)),
        ),
    }
    return Residual(branches, 1792, 384, scale, relu)


class Reduction(nn.Module):
    """Parallel branches of stride 2 beside a max-pool, concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.names = tuple(f"branch{i}" for i in range(len(branches)))
        for name, branch in zip(self.names, branches, strict=True):
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of about half the height and width."""
        parts = [self.get_submodule(name)(x) for name in self.names]
        return torch.cat([*parts, functional.max_pool2d(x, 3, 2)], 1)


def mixed_6a() -> Reduction:
    """Return the reduction from 256 to 896 channels."""
    tower = nn.Sequential(
        BasicConv2d(256, 192, 1), BasicConv2d(192, 192, 3, padding=1), BasicConv2d(192, 256, 3, 2)
    )
    return Reduction(BasicConv2d(256, 384, 3, 2), tower)


def mixed_7a() -> Reduction:
    """Return the reduction from 896 to 1792 channels."""
    return Reduction(
        nn.Sequential(BasicConv2d(896, 256, 1), BasicConv2d(256, 384, 3, 2)),
        nn.Sequential(BasicConv2d(896, 256, 1), BasicConv2d(256, 256, 3, 2)),
        nn.Sequential(
            BasicConv2d(896, 256, 1),
            BasicConv2d(256, 256, 3, padding=1),
            BasicConv2d(256, 256, 3, 2),
        ),
    )


class InceptionResnetV1(nn.Module):
    """Face -> 512-d unit vector.

    Args:
        classes: adds the `logits` layer of a published weights file (8,631 people of VGGFace2,
            10,575 of CASIA). It is counted among the parameters and never used.
        dropout: share of the 1792 pooled features dropped in training.
    """

    width = 512
    features = 1792

    def __init__(self, classes: int | None = None, dropout: float = 0.6) -> None:
        super().__init__()
        self.conv2d_1a = BasicConv2d(3, 32, 3, 2)
        self.conv2d_2a = BasicConv2d(32, 32, 3)
        self.conv2d_2b = BasicConv2d(32, 64, 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = BasicConv2d(64, 80, 1)
        self.conv2d_4a = BasicConv2d(80, 192, 3)
        self.conv2d_4b = BasicConv2d(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(block35() for _ in range(5)))
        self.mixed_6a = mixed_6a()
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(10)))
        self.mixed_7a = mixed_7a()
        self.repeat_3 = nn.Sequential(*(block8() for _ in range(5)))
        self.block8 = block8(scale=1.0, relu=False)
        self.avgpool_1a = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(self.features, self.width, bias=False)
        self.last_bn = nn.BatchNorm1d(self.width, eps=0.001, momentum=0.1)
        self.logits = nn.Linear(self.width, classes).requires_grad_(False) if classes else None

    def taps(self, faces: Float[Tensor, "batch 3 h w"]) -> tuple[Tensor, ...]:
        """Return the feature maps after the stem and each stage, fine to coarse.

        `faces` are RGB in [0, 1]; normalised here as facenet-pytorch does, (255 x - 127.5) / 128.
        """
        x = (faces * 255 - 127.5) / 128
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        stem = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(self.maxpool_3a(x))))
        first = self.repeat_1(stem)
        second = self.repeat_2(self.mixed_6a(first))
        third = self.block8(self.repeat_3(self.mixed_7a(second)))
        return stem, first, second, third

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 512"]:
        """Return unit vectors for RGB faces in [0, 1]."""
        pooled = self.avgpool_1a(self.taps(faces)[-1]).flatten(1)
        return functional.normalize(self.last_bn(self.last_linear(self.dropout(pooled))), dim=1)
