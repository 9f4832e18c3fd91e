"""A generator as training begins it, and as the registry serves it."""

from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry import versions
from registry.catalog import PIX2PIXHD
from training.engine.recipe import RecipeError
from training.models.pix2pixhd.generator import Generator, GeneratorConfig
from training.starters.files import GENERATOR_PREFIX

WEIGHT_DEVIATION = 0.02
Network = TypeVar("Network", bound=nn.Module)


class GeneratorWrapper(nn.Module):
    """A generator as the registry's card names its outputs."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, faces: Float[Tensor, "batch 3 h w"], change: Float[Tensor, "batch dims"]
    ) -> dict[str, Tensor]:
        """Return `picture` and `mask` for faces in [0, 1] and changes of their condition."""
        made = self.generator(faces, change)
        return {"picture": made.picture, "mask": made.mask}


def drawn(network: Network) -> Network:
    """Return a network whose kernels are drawn from N(0, 0.02), as pix2pixHD's are."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, WEIGHT_DEVIATION)
    return network


def start_from(generator: Generator, reference: str) -> None:
    """Start a generator from a trained version; an enhancer that is added to it begins new.

    Of a longer condition than the version's, the numbers behind change nothing at first. What size
    of a face it looks at may be another.

    Raises:
        RecipeError: the version is no generator of this shape.
        RegistryError: there is no such version.
    """
    if versions.resolve(reference).name != PIX2PIXHD.name:
        raise RecipeError(f"{reference} is no generator to start from.")
    began, wanted = GeneratorConfig(**versions.config(reference)["network"]), generator.config
    grown = replace(began, dims=max(began.dims, wanted.dims), seen_px=wanted.seen_px)
    if (began.enhancer, wanted.enhancer) == ("none", "added"):
        grown = replace(grown, enhancer="added")
    if grown != wanted:
        raise RecipeError(f"{reference} is a generator of another shape than --network's.")
    served = GeneratorWrapper(generator)
    new = served.state_dict()
    trained = {
        name.removeprefix(GENERATOR_PREFIX): value
        for name, value in versions.weights(reference).items()
        if name.startswith(GENERATOR_PREFIX)
    }
    served.load_state_dict(new | {k: _widened(v, new[k]) for k, v in trained.items()})


def _widened(weight: Tensor, like: Tensor) -> Tensor:
    """Return a weight with as many inputs as another has, weight 0 for those it lacks."""
    if weight.ndim < 2 or weight.shape[1] >= like.shape[1]:
        return weight
    lacking = like.shape[1] - weight.shape[1]
    nothing = weight.new_zeros(len(weight), lacking, *weight.shape[2:])
    return torch.cat([weight, nothing], 1)
