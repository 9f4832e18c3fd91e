"""Small networks with random weights and the outputs of the real ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from registry import promotion, store, versions
from registry.catalog import DLN, EMOTION, PIX2PIXHD, ModelSpec
from registry.crops import CropSpec
from registry.promotion import validation

CROP = CropSpec(size_px=32, margin=0.1)
THRESHOLDS = {"nearer": 0.1, "same_person": 0.5}


class Tiny(nn.Module):
    """A random linear map of a face of 8 x 8 pixels."""

    def __init__(self, seed: int, outputs: Mapping[str, int]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.maps = nn.ParameterDict(
            {name: torch.randn(192, width, generator=generator) for name, width in outputs.items()}
        )

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        pixels = adaptive_avg_pool2d(faces, 8).flatten(1) - 0.5
        outputs = {name: pixels @ weights for name, weights in self.maps.items()}
        return {k: v if k == "logits" else normalize(v, dim=1) for k, v in outputs.items()}


class TinyEncoder(Tiny):
    """The encoder of a tiny generator."""

    def __init__(self, seed: int = 4) -> None:
        super().__init__(seed, {"expression": 16, "identity": 32})


class TinyGenerator(nn.Module):
    """Shades a face so that a tiny encoder sees the change, by its map's pseudoinverse.

    Args:
        encoder: whose expressions the change is between.
        reach: the share of the change that is made; below 0 it goes the other way.
    """

    weights: Tensor
    inverse: Tensor

    def __init__(self, encoder: TinyEncoder, reach: float = 1.0) -> None:
        super().__init__()
        weights = encoder.maps["expression"].detach()
        self.register_buffer("weights", weights)
        self.register_buffer("inverse", torch.linalg.pinv(weights) * reach)

    def forward(self, faces: Tensor, change: Tensor) -> dict[str, Tensor]:
        length = (adaptive_avg_pool2d(faces, 8).flatten(1) - 0.5) @ self.weights
        shade = (length.norm(dim=1, keepdim=True) * change) @ self.inverse
        picture = faces + interpolate(shade.unflatten(1, (3, 8, 8)), faces.shape[2:])
        return {"picture": picture.clamp(0, 1), "mask": torch.ones_like(faces[:, :1])}


def fill_registry() -> None:
    """Register two versions of the DLN and one for emotions; the first of each is in production."""
    for seed in (1, 2):
        register(DLN, Tiny(seed, {"expression": 16, "identity": 32}))
    register(EMOTION, Tiny(3, {"logits": len(EMOTION.labels)}))
    for spec in (DLN, EMOTION):
        promotion.promote(spec.name, 1)


def fill_transfer(reach: float = 1.0) -> int:
    """Register a version of pix2pixHD that goes `reach` of the way, put it into production.

    Returns:
        Its number.
    """
    encoder = TinyEncoder()
    generator = TinyGenerator(encoder, reach)
    version = register(PIX2PIXHD, generator, encoder=encoder, thresholds=THRESHOLDS)
    promotion.promote(PIX2PIXHD.name, version.number)
    return version.number


def register(spec: ModelSpec, network: nn.Module, **more: Any) -> versions.Version:
    """Register a network as a version that counts as validated."""
    run = store.connect().create_run(store.experiment(spec.name))
    version = versions.register(
        spec,
        network,
        crop=CROP,
        run_id=run.info.run_id,
        config={"width": 8},
        description=f"{spec.title}, with random numbers: for tests only.",
        labels=spec.labels,
        **more,
    )
    validation.write(version, "passed", "It is for tests only.")
    return version
