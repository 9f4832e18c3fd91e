"""Registers the shipped starters in a registry that lacks them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from registry import devices, doctor, outcomes, promotion, registration, seeding, versions
from registry.catalog import CATALOG
from registry.crops import CropSpec
from registry.graphs import export_parts
from registry.versions import EmptyRegistry, Version
from training.cards.markdown import markdown
from training.cards.run_card import RunCard
from training.engine.tracking import Metric, Tracker
from training.models.pix2pixhd.blendshape_head import shipped_head
from training.models.pix2pixhd.encoder import Encoder
from training.networks import build
from training.starters import files, graphs, registered
from training.starters.sheet import starter_sheet

Card = Mapping[str, Any]
RUN_NOTE = "mlflow.note.content"
"""The tag that MLflow's UI shows as a run's description."""
SHIPPED = (
    "Shipped weights, registered without a training here. card.json says how they were trained, "
    "measurements.json what they reached, with intervals; sheet.png shows results for synthetic "
    "people (SFHQ, MIT)."
)
WITHOUT_CURVES = "Losses and validations by epoch were not kept when these weights were packed."


def seed() -> list[str]:
    """Register every shipped starter that the registry lacks, and return a line for each change.

    What a killed program left in the store is cleaned first. On a machine without a GPU all
    starters answer before the first of them is completed by what only PyTorch needs.

    The alias `production` is set if a model has none or if it points to an older starter; it stays
    on a version that a user trained. If two processes seed at once, the second waits.
    """
    shipped = [name for name in files.STARTERS if files.is_shipped(name)]
    with seeding.seeding():
        lines = doctor.clean_killed()
        for number, name in enumerate(shipped, start=1):
            seeding.report(number, len(shipped))
            lines += _seed(files.Starter.open(name))
        for name in shipped:
            _complete(files.Starter.open(name))
    return lines


def _seed(starter: files.Starter) -> list[str]:
    model, lines = starter.card["model"], []
    version = registered.version_of(starter)
    if version is None:
        version = _register(starter)
        lines = [f"{model} version {version.number} is the starter {starter.name}."]
    elif not version.without_pt2:
        return []
    if devices.may_have_gpu():
        _complete(starter)
    if promotion.PRODUCTION not in version.aliases and _is_ours_to_promote(model):
        promotion.promote(model, version.number, starter.name, "seeded")
        lines.append(f"{model} version {version.number} is in production.")
    return lines


def _complete(starter: files.Starter) -> None:
    """Add the sheet to a starter's run, and to its version what PyTorch needs, if it has none."""
    version = registered.version_of(starter)
    if version is None or not version.without_pt2:
        return
    with Tracker(version.name, starter.name, version.run_id) as tracker:
        tracker.picture(starter_sheet(versions.load(version, "cpu", "onnxruntime")), "sheet.png")
    registration.complete(version, *networks(starter))


def _is_ours_to_promote(model: str) -> bool:
    try:
        return versions.resolve(f"{model}@{promotion.PRODUCTION}").starter is not None
    except EmptyRegistry:
        return True


def _register(starter: files.Starter) -> Version:
    card = _run_card(starter)
    text = markdown(card, starter.measurements)
    network, encoder = networks(starter)
    with Tracker(card.model, starter.name) as tracker:
        _log(starter, card, text, tracker)
        version = registration.register(
            CATALOG[card.model],
            network,
            crop=CropSpec(**card.crop),
            run_id=tracker.run_id,
            config=card.config,
            description=text,
            labels=tuple(card.labels),
            temperature=card.temperature,
            data={data["name"]: data["digest"] for data in card.data},
            starter=starter.digest,
            encoder=encoder,
            thresholds=card.thresholds,
            class_prior=card.class_prior,
            onnx=partial(graphs.filled, starter.name),
            name=card.model,
        )
        for path in files.outcome_files(starter.name):
            outcomes.log_file(version, path)
        return version


def _run_card(starter: files.Starter) -> RunCard:
    """Return a starter's card; a generator's with the threshold of its head."""
    card = RunCard.read(starter.card)
    if starter.name != files.PIX2PIXHD:
        return card
    added = files.Starter.open(files.BLENDSHAPES).card["thresholds"]
    return replace(card, thresholds={**card.thresholds, **added})


def write_graphs(starter: files.Starter) -> list[Path]:
    """Write the ONNX graphs that are shipped with a starter, without weights; return their paths.

    Raises:
        ValueError: one is too large.
    """
    card, (network, encoder) = RunCard.read(starter.card), networks(starter)
    spec, size_px = CATALOG[card.model], int(card.crop["size_px"])
    parts = export_parts.freeze_parts(spec, network, encoder, size_px, tuple(card.labels))
    return [graphs.write(starter.name, part) for part in parts]


def networks(starter: files.Starter) -> tuple[nn.Module, nn.Module | None]:
    """Return the network of a starter with its weights, in eval mode, and a generator's encoder."""
    network = NETWORKS[starter.name](starter.card)
    network.load_state_dict(starter.weights())
    network.eval()
    return network, _encoder(starter.card) if starter.name == files.PIX2PIXHD else None


def _log(starter: files.Starter, card: RunCard, text: str, tracker: Tracker) -> None:
    """Log what is known of a starter's training: recipe, data, card, curves, measurements."""
    tracker.describe(card.recipe, card.config, [])
    for data in card.data:
        tags = {"faces": str(data["training_faces"])}
        tracker.input(data["name"], "train", data["digest"], f"data/{data['name']}", tags)
    tracker.card(card.to_dict(), text)
    tracker.measurements(starter.measurements)
    main = [row for row in starter.measurements if row.is_main]
    tracker.commit([Metric.now(row.name, row.value, card.steps) for row in main])
    tracker.commit([Metric(**point) for point in starter.curves])
    tracker.tag(RUN_NOTE, SHIPPED if starter.curves else f"{SHIPPED} {WITHOUT_CURVES}")


def _network(card: Card) -> nn.Module:
    return build(card["model"], card["config"], card["labels"])


def _encoder(card: Card) -> nn.Module:
    """Return the encoder of the shipped generator: the shipped dln."""
    dln = files.Starter.open(files.DLN)
    network, _ = networks(dln)
    inner, crop = CropSpec(**dln.card["crop"]), CropSpec(**card["crop"])
    return Encoder(network, inner, crop, card["config"]["condition"], shipped_head())


NETWORKS: Mapping[str, Callable[[Card], nn.Module]] = dict.fromkeys(files.STARTERS, _network)
"""Builds the network of each starter from its run card, without weights."""
