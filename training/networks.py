"""config.json of a version -> its network, as it was when it was registered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from training.engine.recipe import RecipeError
from training.models.backbones.deviation import BackboneConfig, PairConfig
from training.models.dln import config as dln
from training.models.dln.network import DLN
from training.models.emotion.network import EmotionClassifier
from training.models.fecnet import config as fecnet
from training.models.fecnet.network import FECNet
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.networks import GeneratorWrapper

Settings = Mapping[str, Any]


def build(model: str, config: Settings, labels: Sequence[str] = ()) -> nn.Module:
    """Return the network of a version, without its weights.

    Args:
        model: name of the model.
        config: what rebuilds the network.
        labels: of a classifier.

    Raises:
        RecipeError: the configuration is none of this program.
    """
    try:
        return BUILDERS[model](config["network"], labels)
    except (KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            f"The configuration of this {model} is none that this program knows ({error}): it was "
            "trained by another version of this program; use that one."
        ) from error


def _with_backbone(network: Settings) -> dict[str, Any]:
    return {**network, "backbone": BackboneConfig(**network["backbone"])}


def _dln(network: Settings, _: Sequence[str]) -> nn.Module:
    return DLN(dln.NetworkConfig(**_with_backbone(network)))


def _fecnet(network: Settings, _: Sequence[str]) -> nn.Module:
    return FECNet(fecnet.NetworkConfig(**_with_backbone(network)))


def _emotion(network: Settings, labels: Sequence[str]) -> nn.Module:
    return EmotionClassifier(PairConfig(**_with_backbone(network)), len(labels))


def _pix2pixhd(network: Settings, _: Sequence[str]) -> nn.Module:
    return GeneratorWrapper(Generator(GeneratorConfig(**network)))


BUILDERS: Mapping[str, Callable[[Settings, Sequence[str]], nn.Module]] = {
    "dln": _dln,
    "fecnet": _fecnet,
    "emotion": _emotion,
    "pix2pixhd": _pix2pixhd,
}
"""Builds the network of each model from the part `network` of config.json."""
