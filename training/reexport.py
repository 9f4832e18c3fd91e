"""A version whose graphs are made again from its weights and its configuration."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from registry import entries, outcomes, versions
from registry.catalog import CATALOG, DLN
from registry.crops import CropSpec
from registry.errors import BadVersion, GraphError
from registry.graphs import engines, export, export_parts, graph, onnx_graph
from registry.graphs.export_parts import ExportPart
from registry.graphs.torch_graph import TorchGraph
from registry.promotion import validation
from registry.versions import Version
from training import networks
from training.models.pix2pixhd.blendshape_head import BlendshapeHead
from training.models.pix2pixhd.encoder import Encoder
from training.starters.files import GENERATOR_PREFIX, weights_digest

logger = logging.getLogger(__name__)
ENCODER_PREFIX = "encoder."
BATCH = 2


@dataclass(frozen=True, kw_only=True)
class Reexport:
    """A new version, and which graphs of the old one were read and give the same."""

    version: Version
    compared: tuple[str, ...]


def reexport(reference: str) -> Reexport:
    """Register a version again, with graphs that this PyTorch and this ONNX exporter write.

    The new version has the weights, card, measurements and outcomes of the old one, which stays as
    it is. It counts as validated if the old one does and a graph of it could be compared.

    Args:
        reference: NAME, NAME@alias or NAME/version.

    Raises:
        BadVersion: weights or configuration are missing or broken, or the network that they give
            computes something else than a graph of the version that can still be read.
        RecipeError: the configuration is none of this program.
        RegistryError: there is no such version, or the store does not answer.
    """
    old = versions.resolve(reference)
    config = versions.config(_name(old))
    network, encoder = _networks(old, config)
    compared = _compare(old, network, encoder)
    new = versions.register(
        CATALOG[old.model],
        network,
        crop=old.crop,
        run_id=old.run_id,
        config=config,
        description=old.description,
        labels=old.labels,
        temperature=old.temperature,
        data=old.data,
        starter=old.starter,
        encoder=encoder,
        thresholds=old.thresholds,
        class_prior=old.class_prior,
    )
    for table in outcomes.read(old):
        outcomes.log(new, table)
    if compared and old.validation == "passed":
        reason = f"It computes what version {old.number} does: {old.validation_reason}"
        validation.write(new, "passed", reason)
    return Reexport(version=versions.resolve(_name(new)), compared=compared)


def _name(version: Version) -> str:
    return f"{version.name}/{version.number}"


def _networks(version: Version, config: Mapping[str, Any]) -> tuple[nn.Module, nn.Module | None]:
    """Return the network of a version with its weights, and a generator's encoder."""
    network = networks.build(version.model, config, version.labels)
    weights = versions.weights(_name(version))
    has_head = "blendshapes" in version.encoder
    encoder = _encoder(version.crop, config, has_head=has_head) if version.encoder else None
    if encoder is not None:
        _fill(version, encoder, _part(weights, ENCODER_PREFIX))
        weights = _part(weights, GENERATOR_PREFIX)
    _fill(version, network, weights)
    return network.eval(), encoder


def _part(weights: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _fill(version: Version, network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise BadVersion(
            f"The weights of {version.title} don't fit its config.json: it can't be exported again."
        ) from error


def _encoder(crop: CropSpec, config: Mapping[str, Any], *, has_head: bool) -> Encoder:
    """Return a generator's encoder, built as the dln that it was made from."""
    origin = config["encoder"]
    for known in (each for each in versions.list_versions() if each.model == DLN.name):
        if weights_digest(versions.weights(_name(known))) == origin["sha256"]:
            inner = networks.build(DLN.name, versions.config(_name(known)))
            head = BlendshapeHead() if has_head else None
            return Encoder(inner.eval(), known.crop, crop, config["condition"], head)
    raise BadVersion(
        f"Its encoder was made from {origin['version']}, which is not in this registry: import "
        "that version, too, and run the same command again."
    )


def _compare(old: Version, network: nn.Module, encoder: nn.Module | None) -> tuple[str, ...]:
    """Return the files of the old graphs that can be read; raise if one gives something else."""
    size_px, labels = old.crop.size_px, old.labels
    parts = export_parts.freeze_parts(CATALOG[old.model], network, encoder, size_px, labels)
    with entries.files(old) as folder:
        return tuple(file for part in parts for file in _same(old, folder, part))


def _same(old: Version, folder: Path, part: ExportPart) -> Iterator[str]:
    inputs = part.example_inputs(BATCH)
    with export_parts.plain_math():
        expected = {name: value.numpy() for name, value in part.network(*inputs).items()}
    for file, load in _graphs(part).items():
        try:
            loaded = load(folder / file)
        except GraphError as error:
            logger.info("%s of %s is not compared: %s.", file, old.title, error)
            continue
        try:
            outputs = loaded(*(each.numpy() for each in inputs))
            engines.require_equal(outputs, expected, export.ONNX_TOLERANCE)
        except GraphError as error:
            raise BadVersion(
                f"The weights and config.json of {old.title} don't give what its {file} computes "
                f"({error}): nothing was registered."
            ) from error
        yield file


def _graphs(part: ExportPart) -> dict[str, Callable[[Path], engines.Graph]]:
    return {
        part.file: lambda path: TorchGraph(graph.load(path, "cpu"), "cpu"),
        part.onnx_file: onnx_graph.load,
    }
