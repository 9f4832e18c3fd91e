"""The versions that training makes and the demo uses: register, resolve, load, list."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import entries, store
from registry.catalog import CATALOG, is_candidates, model_of
from registry.entries import Version
from registry.errors import (
    BadVersion,
    EmptyRegistry,
    GraphError,
    RegistryError,
    Unreachable,
)
from registry.measurements import Measurement
from registry.measurements import read as read_measurements
from registry.missing_versions import no_version, none_in_production
from registry.store.record_types import Entry, Records
from registry.store.records import open_records

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from registry.production import ProductionModel
    from registry.registration import register

__all__ = [
    "BadVersion",
    "EmptyRegistry",
    "ProductionModel",
    "RegistryError",
    "Unreachable",
    "Version",
    "broken_versions",
    "card",
    "config",
    "find",
    "list_versions",
    "load",
    "load_module",
    "measurements",
    "register",
    "resolve",
    "weights",
]

PRODUCTION = "production"
REFERENCE = re.compile(r"(?:models:/)?(?P<name>[\w.-]+)(?:@(?P<alias>[\w.-]+)|/(?P<number>\d+))?")


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for: to list versions needs none of it."""
    if name == "register":
        from registry.registration import register

        return register
    if name == "ProductionModel":
        from registry.production import ProductionModel

        return ProductionModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def resolve(reference: str) -> Version:
    """Return the version that `dln@production`, `dln/3`, `models:/dln/3` or `dln` means.

    `dln-candidates/3` is a candidate; none of them is in production.

    Raises:
        BadVersion: the reference is malformed or means nothing here.
        EmptyRegistry: the model has no version, or none in production.
        Unreachable: the store does not answer.
    """
    parts = REFERENCE.fullmatch(reference)
    if parts is None:
        raise BadVersion(f"{reference!r} names no version: write dln, dln@production or dln/3.")
    name = parts["name"]
    if not store.exists():
        raise no_version(name, [])
    records = open_records()
    with store.answering(model=name):
        number = parts["number"] or _aliased(records, name, parts["alias"] or PRODUCTION)
        entry = records.entry(name, int(number))
    if entry is None:
        raise no_version(name, _search(name), number)
    return entries.read(entry)


def load(
    version: Version | str, device: str | None = None, engine: str | None = None
) -> "ProductionModel":
    """Load a version onto a device (the fastest one by default).

    Args:
        version: the version, or a reference as for `resolve`.
        device: cuda, mps or cpu.
        engine: what computes it, one of `registry.graphs.engines.ENGINES`; by default what
            EXPRESSION_STUDIO_ENGINE names, or else the fastest. On a CPU that is ONNX Runtime, and
            PyTorch is not imported; a version of older code without an ONNX graph needs it.

    Raises:
        BadVersion: its files are gone, aren't an exported graph, or could run code when loaded.
        BadEngine: there is no such engine, or it can't compute this version here.
        EmptyRegistry, Unreachable: as for `resolve`.
    """
    from registry import production
    from registry.devices import best_device

    if isinstance(version, str):
        version = resolve(version)
    device = device or best_device()
    forced = production.engine_for(version, device, engine)
    with _whole_files(version) as folder:
        return production.load(version, folder, device, forced)


def load_module(version: Version | str, device: str | None = None) -> "Module":
    """Load the graph of a version, or its generator, as a module through which gradients flow.

    Args:
        version: the version, or a reference as for `resolve`.
        device: cuda, mps or cpu; by default the fastest.

    Raises:
        BadVersion, EmptyRegistry, Unreachable: as for `load`.
    """
    from registry import production
    from registry.devices import best_device
    from registry.graphs import file_names, graph

    if isinstance(version, str):
        version = resolve(version)
    production.require_pt2(version)
    with _whole_files(version) as folder:
        return graph.load(folder / file_names.GRAPH, device or best_device())


def weights(reference: str) -> "dict[str, Tensor]":
    """Return weights.safetensors of a version, by parameter name, on the CPU.

    Raises:
        BadVersion: the file is missing or broken, or was changed since.
        EmptyRegistry, Unreachable: as for `resolve`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from registry.graphs import digests, file_names

    version = resolve(reference)
    with _whole_files(version, of_weights=True) as folder:
        digests.check(folder, version.digests, [file_names.WEIGHTS])
        try:
            state: dict[str, Tensor] = load_file(folder / file_names.WEIGHTS)
        except (FileNotFoundError, SafetensorError) as error:
            raise GraphError("weights.safetensors is missing or broken") from error
    return state


def config(reference: str) -> dict[str, Any]:
    """Return config.json of a version: what rebuilds its network.

    Raises:
        BadVersion: the file is missing or broken.
        EmptyRegistry, Unreachable: as for `resolve`.
    """
    from registry.graphs import file_names

    version = resolve(reference)
    with _whole_files(version, of_weights=True) as folder:
        try:
            file = folder / file_names.CONFIG
            values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise GraphError("config.json is missing or broken") from error
    return values


def card(version: Version | str) -> str:
    """Return the model card of a version, Markdown, as it is now: measuring adds to it.

    Raises:
        BadVersion, EmptyRegistry, Unreachable: as for `resolve`.
    """
    named = version if isinstance(version, str) else f"{version.name}/{version.number}"
    return resolve(named).description


def measurements(version: Version) -> list[Measurement]:
    """Return what was measured of a version, sorted by split, set, protocol, metric and group.

    Raises:
        Unreachable: the store does not answer.
    """
    return read_measurements(version.run_id)


def list_versions(name: str | None = None) -> list[Version]:
    """Return the complete versions of a model, or of all, by name and newest first.

    Raises:
        Unreachable: the store does not answer.
    """
    read = [_read_or_fault(entry) for entry in _search(name)]
    return [version for version in read if isinstance(version, Version)]


def broken_versions(name: str | None = None) -> list[BadVersion]:
    """Return what is wrong with the versions that `list_versions` leaves out.

    Raises:
        Unreachable: the store does not answer.
    """
    read = [_read_or_fault(entry) for entry in _search(name)]
    return [fault for fault in read if isinstance(fault, BadVersion)]


def find(name: str, **fields: object) -> Version | None:
    """Return the newest version with these fields (`starter=digest`) whose files are there.

    Raises:
        Unreachable: the store does not answer.
    """
    for version in list_versions(name):
        if all(getattr(version, key) == value for key, value in fields.items()):
            with store.answering():
                if entries.has_files(version):
                    return version
    return None


@contextmanager
def _whole_files(version: Version, *, of_weights: bool = False) -> Iterator[Path]:
    """Give a version's folder; an error inside is reported with the version's name."""
    again = f"make its graphs again, `python -m training reexport {version.name}/{version.number}`"
    with store.answering(), entries.files(version) as folder:
        try:
            yield folder
        except GraphError as error:
            raise BadVersion(
                f"{version.title} can't be used, because {error}: promote another version, or "
                f"{'restore a backup' if of_weights else again}."
            ) from error


def _aliased(records: Records, name: str, alias: str) -> int:
    """Return the number an alias points to."""
    aliases = records.aliases(name)
    if aliases is None:
        raise no_version(name, [])
    if alias in aliases and not (alias == PRODUCTION and is_candidates(name)):
        return aliases[alias]
    if alias != PRODUCTION:
        known = ", ".join(aliases) or "none"
        raise BadVersion(f"{name} has no alias {alias} (it has: {known}).")
    raise none_in_production(name, _search(name))


def _search(name: str | None) -> list[Entry]:
    """Return the entries by name and newest first; without `name`, of the catalog's models."""
    if (name and not REFERENCE.fullmatch(name)) or not store.exists():
        return []
    records = open_records()
    with store.answering():
        return [entry for entry in records.entries(name) if name or model_of(entry.name) in CATALOG]


def _read_or_fault(entry: Entry) -> Version | BadVersion:
    try:
        return entries.read(entry)
    except BadVersion as fault:
        return fault
