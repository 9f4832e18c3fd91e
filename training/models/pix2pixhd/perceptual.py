"""Frozen networks whose features say how alike two pictures look (Johnson et al., ECCV 2016)."""

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

PerceptualName = Literal["vgg19", "squeezenet", "identity", "none"]
VGG = Published(url=VGG19_Weights.IMAGENET1K_V1.url, sha256="dcbb9e9d")
"""torchvision names its files by the first digits of their digest."""
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""What the distances of five maps count, fine to coarse: pix2pixHD's, of VGG19's."""

VGG_TAPS = (1, 6, 11, 20, 29)
"""relu1_1 to relu5_1, as pix2pixHD has them."""
SQUEEZE_TAPS = (1, 4, 7, 10, 12)
"""The first layer, and the second fire module of each group; our decision."""
SQUEEZE_MEANS = (10.5, 24.1, 20.0, 18.7, 1.39)
"""Of the maps after those layers over 64 faces of london at 128 px: divided by them, all count."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68, 116.779, 103.939)
"""RGB of 255; Caffe's networks take BGR without a deviation."""
PROBE_PX = 64
FIRES = {3: 2, 4: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8, 12: 9}
"""torchvision's number of a layer -> number of the fire module in the file."""


class Perceptual(nn.Module):
    """RGB in [0, 1] -> feature maps, fine to coarse.

    Args:
        layers: the network.
        taps: the layers whose outputs are given.
        mean: taken from the input first, in units of [0, 1].
        deviation: what it is divided by then.
        bgr: whether the network wants blue first.
        scales: what each tap's map is divided by; None leaves them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        layers: nn.Sequential,
        taps: tuple[int, ...],
        mean: tuple[float, ...],
        deviation: tuple[float, ...],
        *,
        bgr: bool = False,
        scales: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers[: taps[-1] + 1].eval().requires_grad_(False)
        self.bgr = bgr
        self.scales = dict(zip(taps, scales or (1.0,) * len(taps), strict=True))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, pictures: Float[Tensor, "batch 3 h w"]) -> list[Tensor]:
        """Return the maps after each tap."""
        x = (pictures - self.mean) / self.deviation
        x = x.flip(1) if self.bgr else x
        maps = []
        for place, layer in enumerate(self.layers):
            x = layer(x)
            if place in self.scales:
                maps.append(x / self.scales[place])
        return maps


def widths(network: nn.Module) -> tuple[int, ...]:
    """Return how many channels each map has that a perceptual network gives, fine to coarse."""
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
    """Return the network a recipe names; None for `none`.

    Args:
        name: which.
        weights: its file; vgg19's is fetched where none is named.
        encoder: the version of dln whose frozen branch `identity` means.

    Raises:
        RecipeError: the weights can't be had, or that branch must not be used.
    """
    if name == "none":
        return None
    if name == "identity":
        return identity(encoder)
    if name == "vgg19":
        return vgg(weights or published.fetch(VGG, published.folder()))
    if weights is None:
        raise RecipeError("squeezenet needs its weights: name their file by --perceptual-weights.")
    return squeezenet(weights)


def identity(encoder: str) -> IdentityTaps:
    """Return the frozen identity branch of a registered DLN.

    Raises:
        RecipeError: it is the compact one, distilled from the network that judges the results.
        RegistryError: there is no such version.
    """
    said = versions.config(encoder)["network"]["backbone"]
    if said["name"] == "compact":
        raise RecipeError(
            f"The identity branch of {encoder} was distilled from mobilefacenet, which judges the "
            "results: take --perceptual-network vgg19 or squeezenet."
        )
    backbone, frozen = BackboneConfig(**said).build(), "pair.identity."
    whole = versions.weights(encoder)
    state = {k.removeprefix(frozen): v for k, v in whole.items() if k.startswith(frozen)}
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
    return Perceptual(network.features, VGG_TAPS, MEAN, DEVIATION)


def squeezenet(path: Path) -> Perceptual:
    """Return SqueezeNet 1.1 with weights of a Keras file that came from Caffe.

    Raises:
        RecipeError: the file can't be read, or holds another network.
    """
    features = squeezenet1_1(weights=None).features
    state = _torchs(_arrays(path))
    published.load_into(features, state, str(path))
    for layer in features.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    mean = tuple(value / 255 for value in CAFFE_MEAN)
    return Perceptual(features, SQUEEZE_TAPS, mean, (1 / 255,) * 3, bgr=True, scales=SQUEEZE_MEANS)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a Keras file by layer and kind: `fire2/squeeze1x1/kernel` and so on."""
    import h5py

    found: dict[str, np.ndarray] = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer = name.split("/")[:-1]
            kind = "kernel" if item.ndim == 4 else "bias"
            found["/".join([*dict.fromkeys(layer), kind])] = item[()]

    try:
        with h5py.File(path) as file:
            file.visititems(take)
    except OSError as error:
        raise RecipeError(f"{path} can't be read as SqueezeNet's weights (HDF5).") from error
    return found


def _torchs(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the state by torchvision's names; kernels are turned from HWIO to OIHW."""
    names = {"conv1": "0"}
    for place, fire in FIRES.items():
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            names[f"fire{fire}/{part}"] = f"{place}.{part.replace('squeeze1x1', 'squeeze')}"
    state = {}
    for layer, name in names.items():
        if f"{layer}/kernel" in arrays:
            kernel = arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1)
            state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel))
        if f"{layer}/bias" in arrays:
            state[f"{name}.bias"] = torch.from_numpy(arrays[f"{layer}/bias"])
    return state
