"""Initial generator and discriminators of a training, and the generator for the registry."""

from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry import versions
from registry.catalog import EXPRESSION_DIMS, PIX2PIXHD
from training.engine.recipe import RecipeError
from training.models.pix2pixhd.config import DiscriminatorConfig, Pix2pixHDRecipe
from training.models.pix2pixhd.discriminator import Discriminator, ProjectedDiscriminator
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.perceptual import widths
from training.starters.files import GENERATOR_PREFIX

WEIGHT_STD = 0.02
Network = TypeVar("Network", bound=nn.Module)


class GeneratorWrapper(nn.Module):
    """A generator whose outputs have the names of the registry's `ModelSpec`."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, faces: Float[Tensor, "batch 3 h w"], change: Float[Tensor, "batch dims"]
    ) -> dict[str, Tensor]:
        """Return `picture` and `mask` for faces in [0, 1] and changes of their condition."""
        outputs = self.generator(faces, change)
        return {"picture": outputs.picture, "mask": outputs.mask}


def build_generator(recipe: Pix2pixHDRecipe) -> Generator:
    """Return the generator, initialised by the recipe's seed or its `start`.

    Raises:
        RecipeError, RegistryError: as `start_from`.
    """
    torch.manual_seed(recipe.seed)
    generator = initialise(Generator(recipe.network))
    generator.keep_source_at_first()
    if recipe.start:
        start_from(generator, recipe.start)
    return generator


def build_pixel_discriminators(config: DiscriminatorConfig) -> Discriminator:
    """Return discriminators of pixels, initialised from torch's random generator."""
    return initialise(Discriminator(EXPRESSION_DIMS, config.count, config.channels))


def build_projected_discriminators(
    config: DiscriminatorConfig, perceptual: nn.Module | None
) -> ProjectedDiscriminator:
    """Return discriminators of perceptual maps, initialised from torch's random generator.

    Raises:
        RecipeError: there is no perceptual network.
    """
    if perceptual is None:
        raise RecipeError(
            "Discriminators of perceptual maps need a perceptual network: name it with "
            "--perceptual.network, or use --discriminators.input pixels."
        )
    return ProjectedDiscriminator(perceptual, widths(perceptual), EXPRESSION_DIMS, config.channels)


def initialise(network: Network) -> Network:
    """Draw a network's kernels from N(0, 0.02), as pix2pixHD does, and return it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, WEIGHT_STD)
    return network


def start_from(generator: Generator, reference: str) -> None:
    """Load the weights of a trained version into a generator.

    The version may lack an added enhancer, which keeps its initial weights then. The condition may
    be longer than the version's: the further numbers get weight 0. `working_px` may differ.

    Raises:
        RecipeError: the version isn't a generator of this shape.
        RegistryError: there is no such version.
    """
    if versions.resolve(reference).model != PIX2PIXHD.name:
        raise RecipeError(f"{reference} is not a generator to start from.")
    if not _fits(_config(reference), generator.config):
        raise RecipeError(f"{reference} is a generator of another shape than --network's.")
    wrapper = GeneratorWrapper(generator)
    first = wrapper.state_dict()
    trained = {
        name.removeprefix(GENERATOR_PREFIX): value
        for name, value in versions.weights(reference).items()
        if name.startswith(GENERATOR_PREFIX)
    }
    wrapper.load_state_dict(first | {k: _widened(v, first[k]) for k, v in trained.items()})


def _config(reference: str) -> GeneratorConfig:
    try:
        return GeneratorConfig(**versions.config(reference)["network"])
    except TypeError as error:
        raise RecipeError(
            f"{reference} has network settings that this program does not know: it was trained by "
            "another version of this program."
        ) from error


def _fits(trained: GeneratorConfig, wanted: GeneratorConfig) -> bool:
    dims = max(trained.dims, wanted.dims)
    grown = replace(trained, dims=dims, working_px=wanted.working_px)
    if (trained.enhancer, wanted.enhancer) == ("none", "added"):
        grown = replace(grown, enhancer="added")
    return grown == wanted


def _widened(weight: Tensor, like: Tensor) -> Tensor:
    """Return a weight, padded with 0 to the number of inputs of another."""
    if weight.ndim < 2 or weight.shape[1] >= like.shape[1]:
        return weight
    lacking = like.shape[1] - weight.shape[1]
    zeros = weight.new_zeros(len(weight), lacking, *weight.shape[2:])
    return torch.cat([weight, zeros], 1)
