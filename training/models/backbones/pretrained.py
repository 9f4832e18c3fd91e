"""Starts a network's branches from identity weights, or from a registered version."""

from collections.abc import Sequence

from torch import Tensor, nn

from registry import versions
from training.engine.recipe import RecipeError
from training.models.backbones import published
from training.models.backbones.deviation import BackboneConfig, DeviationPair
from training.models.backbones.published import IdentityWeights
from training.starters import files


def start_from(network: nn.Module, reference: str) -> None:
    """Load a registered version's branches, and its normalisation, into a network.

    If the version doesn't subtract, only its face branch is loaded: the rest wasn't trained.

    Args:
        network: has a `pair` and a `norm`.
        reference: the version, such as models:/dln/1 or models:/dln@production.

    Raises:
        RecipeError: the version has no such branches.
        RegistryError: there is no such version.
    """
    known = versions.config(reference)["network"]
    subtracts, backbone = known.get("subtract"), known.get("backbone", {}).get("name")
    if not backbone:
        raise RecipeError(f"{reference} has no face branch to start from.")
    prefixes = ("pair.face.",) if subtracts is False else ("pair.", "norm.")
    state = {k: v for k, v in versions.weights(reference).items() if k.startswith(prefixes)}
    own = network.state_dict()
    of_face = [key for key in own if key.startswith("pair.face.")]
    if any(key not in state or state[key].shape != own[key].shape for key in of_face):
        raise RecipeError(
            f"{reference} has the backbone {backbone}, which this recipe doesn't have: start from "
            f"another version, or choose a recipe of that backbone."
        )
    network.load_state_dict(state, strict=False)


def identity_state(
    backbone: BackboneConfig, weights: IdentityWeights | None
) -> dict[str, Tensor] | None:
    """Return the chosen identity weights, else the shipped starter's; None if none has the shape.

    Raises:
        RecipeError: they can't be downloaded or read, or are published for another backbone.
    """
    if weights is not None:
        if str(weights) in published.PUBLISHED and backbone.name != "inception_resnet_v1":
            raise RecipeError(f"{weights} fits only inception_resnet_v1, not {backbone.name}.")
        return published.weights(weights)
    shipped = files.IDENTITIES.get(backbone.name)
    if shipped and files.is_shipped(shipped):
        return files.Starter.open(shipped).weights()
    return None


def start_identity(
    pair: DeviationPair, backbone: BackboneConfig, weights: IdentityWeights | None
) -> None:
    """Start both branches of a pair from the same identity weights, if there are any.

    Raises:
        RecipeError: as for `identity_state`, or the weights belong to another network.
    """
    _start([pair.face, pair.identity], backbone, weights)


def start_face(
    network: nn.Module, backbone: BackboneConfig, weights: IdentityWeights | None
) -> None:
    """Start a face network from identity weights, if there are any.

    Raises:
        RecipeError: as for `identity_state`, or the weights belong to another network.
    """
    _start([network], backbone, weights)


def _start(
    networks: Sequence[nn.Module], backbone: BackboneConfig, weights: IdentityWeights | None
) -> None:
    state = identity_state(backbone, weights)
    if state is not None:
        for network in networks:
            published.load_into(network, state, str(weights or files.IDENTITIES[backbone.name]))
