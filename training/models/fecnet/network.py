"""Frozen face features -> expression.

Vemulapalli & Agarwala, "A Compact Embedding for Facial Expression Similarity" (CVPR 2019): features
of a face recognition network, a 1x1 convolution, a dense block, average pooling, a fully connected
layer and the embedding. Batch normalisation and ReLU6 follow each convolution and the hidden layer.
Departures, our decisions: the features are the last map of InceptionResnetV1 (or of the compact
network), while the paper cuts FaceNet's NN2 after its inception 4e.
"""

from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.backbones.deviation import Backbone
from training.models.fecnet.config import NetworkConfig


class DenseBlock(nn.Module):
    """3x3 convolutions, each on the maps of all before it; after DenseNet (Huang et al., 2017)."""

    def __init__(self, inputs: int, layers: int, growth: int) -> None:
        super().__init__()
        self.width = inputs + layers * growth
        self.layers = nn.ModuleList(
            _convolution(inputs + i * growth, growth, 3) for i in range(layers)
        )

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch width h w"]:
        """Return the input's maps, followed by those of every layer."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class FECNetHead(nn.Module):
    """Feature map -> expression of `dims` numbers, not yet of unit length."""

    def __init__(self, features: int, config: NetworkConfig) -> None:
        super().__init__()
        self.reduce = _convolution(features, config.reduced, 1)
        self.dense = DenseBlock(config.reduced, config.layers, config.growth)
        self.hidden = nn.Linear(self.dense.width, config.hidden, bias=False)
        self.norm = nn.BatchNorm1d(config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.embed = nn.Linear(config.hidden, config.dims)

    def forward(self, maps: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch dims"]:
        """Return the embedding."""
        pooled = self.dense(self.reduce(maps)).mean((2, 3))
        hidden = functional.relu6(self.norm(self.hidden(pooled)))
        embedding: Tensor = self.embed(self.dropout(hidden))
        return embedding


class FECNet(nn.Module):
    """Face -> expression, a unit vector of `dims` numbers. The face network is frozen."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.face = config.backbone.build().requires_grad_(False).eval()
        self.head = FECNetHead(cast("Backbone", self.face).features, config)

    def train(self, mode: bool = True) -> "FECNet":
        """Set the head's mode; the face network stays in eval."""
        super().train(mode)
        self.face.eval()
        return self

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return `expression` (batch, dims) for RGB in [0, 1]."""
        with torch.no_grad():
            maps = self.maps(faces)
        return {"expression": functional.normalize(self.head(maps), dim=1)}

    def maps(self, faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch c p q"]:
        """Return the head's input: the face network's last feature map."""
        return cast("Backbone", self.face).taps(faces)[-1]


def _convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(*_layers(inputs, outputs, size))


def _layers(inputs: int, outputs: int, size: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU6()
