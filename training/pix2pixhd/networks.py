"""A generator as training begins it, and as the registry serves it."""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry import versions
from training.config import RecipeError
from training.starter.files import OWN

WEIGHT_DEVIATION = 0.02
ENHANCER = ("generator.enhancer.", "generator.added.")
Network = TypeVar("Network", bound=nn.Module)


class Served(nn.Module):
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


def start_from(generator: nn.Module, reference: str) -> None:
    """Start a generator from a trained version; an enhancer that the version lacks begins new.

    Of a longer condition than the version's, the numbers behind change nothing at first.

    Raises:
        RecipeError: the version is no generator of this shape.
        RegistryError: there is no such version.
    """
    served = Served(generator)
    wanted = served.state_dict()
    state = {
        name.removeprefix(OWN): value
        for name, value in versions.weights(reference).items()
        if name.startswith(OWN)
    }
    state = {k: _widened(v, wanted[k]) if k in wanted else v for k, v in state.items()}
    try:
        missing = served.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise RecipeError(
            f"{reference} is a generator of another shape than --network's."
        ) from error
    if any(not name.startswith(ENHANCER) for name in missing):
        raise RecipeError(f"{reference} is no generator to start from.")


def _widened(weight: Tensor, like: Tensor) -> Tensor:
    """Return a weight with as many inputs as another has, weight 0 for those it lacks."""
    if weight.ndim < 2 or weight.shape[1] >= like.shape[1]:
        return weight
    lacking = like.shape[1] - weight.shape[1]
    nothing = weight.new_zeros(len(weight), lacking, *weight.shape[2:])
    return torch.cat([weight, nothing], 1)
