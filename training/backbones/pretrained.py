"""Where the frozen identity branch gets its weights."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from registry import versions
from training.backbones.deviation import BackboneConfig, DeviationPair
from training.config import RecipeError
from training.starter import files


def start_from(network: nn.Module, reference: str) -> None:
    """Start a network's pair, and what normalises its deviation, from a trained version.

    Of a version that subtracts no identity only the face branch is taken: the rest never trained.

    Raises:
        RecipeError: the version has no such branches.
        RegistryError: there is no such version.
    """
    subtracts = versions.config(reference)["network"].get("subtract")
    taken = ("pair.face.",) if subtracts is False else ("pair.", "norm.")
    state = {k: v for k, v in versions.weights(reference).items() if k.startswith(taken)}
    try:
        missing = network.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise RecipeError(f"{reference} has another backbone than this recipe.") from error
    if any(key.startswith("pair.face.") for key in missing):
        raise RecipeError(f"{reference} has no face branch to start from.")


def identity_state(backbone: BackboneConfig, path: Path | None) -> dict[str, Tensor] | None:
    """Return identity weights from `path`, else from the shipped starter; None where none fits.

    Raises:
        RecipeError: the file can't be read.
    """
    if path is not None:
        try:
            loaded: dict[str, Tensor] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise RecipeError(f"{path} can't be read as .safetensors weights: {error}") from error
        return loaded
    if backbone.name == "compact" and files.is_shipped(files.IDENTITY):
        return files.Starter.open(files.IDENTITY).weights()
    return None


def start_identity(pair: DeviationPair, backbone: BackboneConfig, path: Path | None) -> None:
    """Start both branches of a pair from the same identity weights, if there are any.

    Raises:
        RecipeError: the weights belong to another network.
    """
    start_face(pair.face, backbone, path)
    start_face(pair.identity, backbone, path)


def start_face(network: nn.Module, backbone: BackboneConfig, path: Path | None) -> None:
    """Start a face network from identity weights, if there are any.

    Raises:
        RecipeError: the weights belong to another network.
    """
    state = identity_state(backbone, path)
    if state is None:
        return
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise RecipeError(
            f"{path} holds weights of another network than {backbone.name}."
        ) from error
