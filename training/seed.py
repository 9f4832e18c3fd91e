"""Shipped starters into a registry that lacks them."""

from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from filelock import FileLock
from torch import nn

from registry import promotion, store, versions
from registry.catalog import CATALOG
from registry.faces import CropSpec
from registry.versions import EmptyRegistry, Version
from training.cards.run_card import markdown
from training.engine.tracking import Metric, Tracker
from training.models.backbones.deviation import BackboneConfig, PairConfig
from training.models.dln import config as dln
from training.models.dln.network import DLN
from training.models.emotion.network import EmotionClassifier
from training.models.pix2pixhd.encoder import encoder_of
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.networks import GeneratorWrapper
from training.starters import files


def seed() -> list[str]:
    """Register every shipped starter that the registry lacks, and say what was done.

    `production` is set where a model has none, or where it still stands on an older starter of
    ours; a version of somebody's own keeps it. Two seeds at once do the work once.
    """
    folder = store.folder() or Path(gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "seed.lock"):
        return [line for name in files.STARTERS if files.is_shipped(name) for line in _seed(name)]


def _seed(name: str) -> list[str]:
    starter = files.Starter.open(name)
    model = starter.card["model"]
    if _registered(starter):
        return []
    version = _register(starter)
    said = [f"{model} version {version.number} is the starter {name}."]
    if _is_ours_to_promote(model):
        promotion.promote(model, version.number)
        said.append(f"{model} version {version.number} is in production.")
    return said


def _registered(starter: files.Starter) -> Version | None:
    """Return the version of a starter whose graphs give all they can: older code gave less."""
    card = CATALOG[starter.card["model"]]
    where, required = ("encoder", card.encoder) if card.encoder else ("outputs", card.outputs)
    return versions.find(card.name, starter=starter.digest, **{where: {**required, **card.more}})


def _is_ours_to_promote(model: str) -> bool:
    try:
        return versions.resolve(f"{model}@{promotion.PRODUCTION}").starter is not None
    except EmptyRegistry:
        return True


def _register(starter: files.Starter) -> Version:
    card = starter.card
    tracker = Tracker(card["model"], starter.name)
    tracker.describe(card["recipe"], card["config"], [])
    tracker.card(card)
    tracker.commit([Metric.now(k, v, card["steps"]) for k, v in card["metrics"].items()])
    network = NETWORKS[starter.name](card)
    network.load_state_dict(starter.weights())
    crop = CropSpec(**card["crop"])
    version = versions.register(
        CATALOG[card["model"]],
        network.eval(),
        crop=crop,
        run_id=tracker.run_id,
        config=card["config"],
        description=markdown(card),
        labels=tuple(card["labels"]),
        temperature=card["temperature"],
        data={data["name"]: data["digest"] for data in card["data"]},
        starter=starter.digest,
        encoder=_encoder(card, crop) if starter.name == files.PIX2PIXHD else None,
        thresholds=card.get("thresholds"),
    )
    tracker.close()
    return version


def _dln(card: Any) -> nn.Module:
    said = dict(card["config"]["network"])
    backbone = BackboneConfig(**said.pop("backbone"))
    return DLN(dln.NetworkConfig(backbone=backbone, **said))


def _emotion(card: Any) -> nn.Module:
    said = dict(card["config"]["network"])
    backbone = BackboneConfig(**said.pop("backbone"))
    return EmotionClassifier(PairConfig(backbone=backbone, **said), len(card["labels"]))


def _pix2pixhd(card: Any) -> nn.Module:
    return GeneratorWrapper(Generator(GeneratorConfig(**card["config"]["network"])))


def _encoder(card: Any, crop: CropSpec) -> nn.Module:
    """Return the encoder that the shipped dln makes, which was registered just before."""
    dln = _registered(files.Starter.open(files.DLN))
    assert dln is not None
    return encoder_of(f"{dln.name}/{dln.number}", crop, "cpu", card["config"]["condition"])


NETWORKS: dict[str, Callable[[Any], nn.Module]] = {
    files.DLN: _dln,
    "emotion-compact": _emotion,
    files.PIX2PIXHD: _pix2pixhd,
}
