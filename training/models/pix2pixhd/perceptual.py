"""Frozen networks whose maps measure how alike pictures look (Johnson et al., ECCV 2016)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, squeezenet1_1, vgg19

from registry import versions
from training.engine.recipe import RecipeError
from training.models.backbones import published
from training.models.backbones.deviation import Backbone, BackboneConfig
from training.models.backbones.published import Published
from training.starters import files

PerceptualName = Literal["vgg19", "squeezenet", "identity", "none"]
VGG = Published(url=VGG19_Weights.IMAGENET1K_V1.url, sha256="dcbb9e9d")
"""torchvision names its files by the first digits of their digest."""
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of the distances of five maps, fine to coarse; pix2pixHD's, for VGG19."""

VGG_TAPS = (1, 6, 11, 20, 29)
"""Layers relu1_1 to relu5_1, as in pix2pixHD."""
SQUEEZE_TAPS = (1, 4, 7, 10, 12)
"""Layers: the first, and the second fire module of each group; our decision."""
SQUEEZE_MEANS = (10.5, 24.1, 20.0, 18.7, 1.39)
"""Means of the maps after these layers over 64 faces of london at 128 px. Each map is divided by
its mean, so that all maps count."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68, 116.779, 103.939)
"""RGB in 0 to 255; Caffe's networks take BGR and divide by no std."""
PROBE_PX = 64
FIRES = {3: 2, 4: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8, 12: 9}
"""torchvision's index of a layer -> number of the fire module in the file."""


class Perceptual(nn.Module):
    """RGB in [0, 1] -> feature maps, fine to coarse.

    Args:
        layers: the network.
        taps: indices of the layers whose outputs are returned.
        mean: subtracted from the input, RGB in [0, 1].
        std: the input is divided by it afterwards.
        bgr: whether the network takes blue first.
        scales: each returned map is divided by its number; None for no division.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        layers: nn.Sequential,
        taps: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        bgr: bool = False,
        scales: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers[: taps[-1] + 1].eval().requires_grad_(False)
        self.bgr = bgr
        self.scales = dict(zip(taps, scales or (1.0,) * len(taps), strict=True))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pictures: Float[Tensor, "batch 3 h w"]) -> list[Tensor]:
        """Return the maps after each tap, (batch, c, h, w)."""
        x = (pictures - self.mean) / self.std
        x = x.flip(1) if self.bgr else x
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.scales:
                maps.append(x / self.scales[index])
        return maps


def widths(network: nn.Module) -> tuple[int, ...]:
    """Return the channels of each map of a perceptual network, fine to coarse."""
    with torch.no_grad():
        device = next(network.parameters()).device
        maps = network(torch.zeros(1, 3, PROBE_PX, PROBE_PX, device=device))
    return tuple(each.shape[1] for each in maps)


class IdentityTaps(nn.Module):
    """RGB in [0, 1] -> feature maps of a face recognition network, fine to coarse."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.eval().requires_grad_(False)

    def forward(self, pictures: Float[Tensor, "batch 3 h w"]) -> list[Tensor]:
        """Return the maps after each stage."""
        return list(cast("Backbone", self.backbone).taps(pictures))


def perceptual_network(
    name: PerceptualName, weights: Path | None, encoder: str
) -> nn.Module | None:
    """Return the network that a recipe names; None for `none`.

    Args:
        name: name of the network.
        weights: file of the weights; None downloads vgg19's.
        encoder: version of dln whose frozen branch is the network `identity`.

    Raises:
        RecipeError: the weights can't be read or downloaded, or that branch must not be used.
    """
    if name == "none":
        return None
    if name == "identity":
        return identity(encoder)
    if name == "vgg19":
        return vgg(weights or published.fetch(VGG, published.folder()))
    if weights is None:
        raise RecipeError(
            "squeezenet needs its weights: name their file with --perceptual.weights."
        )
    return squeezenet(weights)


def identity(encoder: str) -> IdentityTaps:
    """Return the frozen identity branch of a registered DLN.

    Raises:
        RecipeError: it is mobilefacenet, which evaluates the results, or distilled from it.
        RegistryError: there is no such version.
    """
    config = versions.config(encoder)["network"]["backbone"]
    if config["name"] in files.IDENTITIES:
        raise RecipeError(
            f"The identity branch of {encoder} is mobilefacenet, which evaluates the results, or "
            "distilled from it: use --perceptual.network vgg19 or squeezenet."
        )
    backbone, prefix = BackboneConfig(**config).build(), "pair.identity."
    weights = versions.weights(encoder)
    state = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    published.load_into(backbone, state, encoder)
    return IdentityTaps(backbone)


def vgg(path: Path) -> Perceptual:
    """Return VGG19 with torchvision's weights.

    Raises:
        RecipeError: the file can't be read, or holds another network.
    """
    network = vgg19(weights=None)
    published.load_into(network, published.read(path), str(path))
    for layer in network.features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return Perceptual(network.features, VGG_TAPS, MEAN, STD)


def squeezenet(path: Path) -> Perceptual:
    """Return SqueezeNet 1.1 with weights of a Keras file that came from Caffe.

    Raises:
        RecipeError: the file can't be read, or holds another network.
    """
    features = squeezenet1_1(weights=None).features
    state = _to_torchvision(_read_arrays(path))
    published.load_into(features, state, str(path))
    for layer in features.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    mean = tuple(value / 255 for value in CAFFE_MEAN)
    return Perceptual(features, SQUEEZE_TAPS, mean, (1 / 255,) * 3, bgr=True, scales=SQUEEZE_MEANS)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a Keras file by layer and kind: `fire2/squeeze1x1/kernel` and so on."""
    try:
        import h5py
    except ImportError as error:
        raise RecipeError(
            f"Reading {path} needs h5py: install it by `uv pip install -e '.[train]'`."
        ) from error

    found: dict[str, np.ndarray] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer = name.split("/")[:-1]
            kind = "kernel" if item.ndim == 4 else "bias"
            found["/".join([*dict.fromkeys(layer), kind])] = item[()]

    try:
        with h5py.File(path) as file:
            file.visititems(collect)
    except OSError as error:
        raise RecipeError(f"{path} can't be read as SqueezeNet's weights (HDF5).") from error
    return found


def _to_torchvision(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the weights by torchvision's names; kernels are transposed from HWIO to OIHW."""
    names = {"conv1": "0"}
    for index, fire in FIRES.items():
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            names[f"fire{fire}/{part}"] = f"{index}.{part.replace('squeeze1x1', 'squeeze')}"
    state = {}
    for layer, name in names.items():
        if f"{layer}/kernel" in arrays:
            kernel = arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1)
            state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel))
        if f"{layer}/bias" in arrays:
            state[f"{name}.bias"] = torch.from_numpy(arrays[f"{layer}/bias"])
    return state
