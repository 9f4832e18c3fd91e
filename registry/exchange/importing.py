"""An exported version -> a version of this registry; nothing in the folder is trusted."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from registry import (
    entries,
    logged_models,
    measurements,
    metadata_checks,
    outcomes,
    registration,
    store,
)
from registry.catalog import CATALOG, ModelSpec
from registry.console import printable
from registry.entries import Version, VersionMetadata
from registry.errors import BadExport, BadVersion, GraphError, first_line
from registry.exchange import checksums, layout
from registry.graphs import export_parts, file_names, graph
from registry.graphs.export_parts import ExportPart
from registry.measurements import Measurement
from registry.outcomes import Outcomes, Source
from registry.store import in_progress, store_errors
from registry.temporary import TemporaryFolder

KEPT = "nothing was imported"
LARGEST_TEXT = 4_000_000
"""Most bytes of a JSON or Markdown file."""
LONGEST_CARD = 100_000
"""Most characters of a version's description in MLflow."""
SET, SPLITS = re.compile(r"\w[\w.-]{0,99}"), ("train", "validation", "test")
DIGEST = re.compile(r"[0-9a-f]{1,64}")
REQUIRED = (layout.METADATA, layout.CARD, layout.MEASUREMENTS)
COPIES = 2
"""A version is copied to the temporary folder, and from there to the store."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What is known of an exported version besides its graphs, read and checked."""

    model: str
    origin: str
    """Which version of which registry it was."""
    metadata: VersionMetadata
    description: str
    measured: list[Measurement]
    run_card: Mapping[str, Any] | None
    """How it was trained; None where that isn't known."""
    outcomes: tuple[Outcomes, ...]
    """The outcome of each item of its evaluations."""


def import_version(folder: Path, name: str | None = None) -> Version:
    """Register an exported version as the newest of its model; it is neither promoted nor valid.

    Whether it passed gates elsewhere, or was a starter there, doesn't count here.

    Args:
        folder: what `exporting.export` wrote, here or elsewhere.
        name: the model to register it as; by default the one it was.

    Raises:
        BadExport: a file is damaged, missing, or not what its name says.
        BadVersion: its graphs could do more than compute, differ from each other, or are not what
            metadata.json says.
        Deleted, Unreachable: as for `store.writing`.
    """
    with store.answering(KEPT):
        names = checksums.verify(folder)
        known = _read(folder, names)
        spec = _spec(name or known.model)
        with TemporaryFolder() as scratch:
            files = scratch / "files"
            _copy_files(folder, names, files, with_encoder=bool(known.metadata.encoder))
            parts = _load(spec, files, known.metadata)
            metadata = replace(known.metadata, outputs=_outputs(parts[:1]))
            metadata = replace(metadata, encoder=_outputs(parts[1:]))
            return _register(spec, files, parts, metadata, known)


def _spec(name: str) -> ModelSpec:
    if name not in CATALOG:
        known = ", ".join(CATALOG)
        raise BadExport(f"There is no model {printable(name)}; the models are {known}; {KEPT}.")
    return CATALOG[name]


def _read(folder: Path, names: set[str]) -> Knowledge:
    """Read all but the graphs.

    Raises:
        BadExport: a file is missing or isn't what its name says.
    """
    if missing := [name for name in REQUIRED if name not in names]:
        raise BadExport(f"{folder} is no exported version: it has no {', '.join(missing)}; {KEPT}.")
    values = _read_json(folder / layout.METADATA)
    with _reading(folder / layout.METADATA):
        if values["format"] != layout.FORMAT:
            raise ValueError(f"its format is {values['format']}, not {layout.FORMAT}")
        metadata = _metadata(values)
        origin = f"{values['model']:.60}/{int(values['version'])}, run {values['run_id']:.60}"
        model = str(values["model"])
    has_card = layout.RUN_CARD in names
    return Knowledge(
        model=model,
        origin=printable(origin),
        metadata=metadata,
        description=_read_card(folder / layout.CARD),
        measured=_read_measurements(folder / layout.MEASUREMENTS),
        run_card=_read_json(folder / layout.RUN_CARD) if has_card else None,
        outcomes=_outcomes(folder, names),
    )


def _metadata(values: Mapping[str, Any]) -> VersionMetadata:
    """Return the metadata, checked as those of a stored version are; no starter, no status."""
    tags = {key: json.dumps(value) for key, value in values.items()}
    return replace(VersionMetadata.from_tags(tags), starter=None, without_pt2=False)


def _read_card(path: Path) -> str:
    with _reading(path):
        text = path.read_text(encoding="utf-8")
        if len(text) > LONGEST_CARD:
            raise ValueError(f"it has more than {LONGEST_CARD:,} characters")
    return text


def _read_measurements(path: Path) -> list[Measurement]:
    table = _read_json(path)
    with _reading(path):
        rows = measurements.from_table(table)
        for row in rows:
            _check_row(row)
    return rows


def _check_row(row: Measurement) -> None:
    texts = (row.split, row.set, row.metric, row.group, row.protocol)
    bounds = [bound for bound in (row.low, row.high) if bound is not None]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("a name in it is no text")
    if not isinstance(row.value, int | float) or not all(map(metadata_checks.is_finite, bounds)):
        raise ValueError(f"{printable(row.name)} is no number")


def _outcomes(folder: Path, names: set[str]) -> tuple[Outcomes, ...]:
    """Return the tables of outcomes; their folder of the data is replaced."""
    found = []
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.parent.as_posix() != layout.OUTCOMES:
            continue
        with _reading(folder / name):
            table = outcomes.read_file(folder / name)
            if table is None or path.name != f"{table.source.name}.parquet":
                raise ValueError("it is no table of outcomes")
            found.append(replace(table, source=_checked_source(table.source)))
    return tuple(found)


def _checked_source(source: Source) -> Source:
    """Return the source of a table, which becomes part of a command that is printed."""
    if not SET.fullmatch(source.set) or source.split not in SPLITS:
        raise ValueError("its data set has no plain name")
    if not all(DIGEST.fullmatch(digest) for digest in (source.digest, source.measured_by or "0")):
        raise ValueError("its digest is none")
    return replace(source, folder=layout.data_folder(source.set))


def _read_json(path: Path) -> Any:
    """Return a JSON object."""
    with _reading(path):
        if path.stat().st_size > LARGEST_TEXT:
            raise ValueError("it is too large")
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
    return value


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn every way in which a file isn't what its name says into one sentence."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else first_line(error)
        raise BadExport(
            f"{path} can't be imported ({printable(reason)}): ask for another export; {KEPT}."
        ) from error


def _copy_files(folder: Path, names: set[str], target: Path, *, with_encoder: bool) -> None:
    """Copy graphs, weights and configuration to their places in a version's folder."""
    files = layout.version_files(with_encoder=with_encoder)
    if missing := [name for name in files.values() if name not in names]:
        raise BadExport(f"{folder} is no whole export: it has no {', '.join(missing)}; {KEPT}.")
    size_bytes = sum((folder / name).stat().st_size for name in files.values())
    needed = {target.parent: size_bytes}
    store_errors.require_space(needed)
    _read_json(folder / files[file_names.CONFIG])
    for place, name in files.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / place)
    _check_weights(target / file_names.WEIGHTS)


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as weights:
            weights.keys()
    except SafetensorError as error:
        raise BadExport(
            f"{path.name} is no file of weights ({first_line(error)}); {KEPT}."
        ) from error


def _load(spec: ModelSpec, files: Path, metadata: VersionMetadata) -> tuple[ExportPart, ...]:
    """Return what the pt2 graphs compute, after checks of the files and of their outputs.

    Raises:
        BadVersion: a file could do more than compute, or its outputs are not those of the metadata.
    """
    try:
        network = graph.load(files / file_names.GRAPH, "cpu")
        encoder = graph.load(files / file_names.ENCODER, "cpu") if metadata.encoder else None
    except GraphError as error:
        raise BadVersion(f"The version can't be imported, because {error}; {KEPT}.") from error
    size_px, labels = metadata.crop.size_px, metadata.labels
    parts = export_parts.checked_parts(spec, network, encoder, size_px, labels)
    _require_promised(metadata, parts)
    return parts


def _require_promised(metadata: VersionMetadata, parts: tuple[ExportPart, ...]) -> None:
    """Raise BadVersion unless the graphs give what the metadata names."""
    compared = {
        "outputs": (sorted(metadata.outputs), sorted(_outputs(parts[:1]))),
        "encoder": (sorted(metadata.encoder), sorted(_outputs(parts[1:]))),
        "condition": ([str(metadata.condition)], [str(parts[0].condition)]),
    }
    for what, (promised, found) in compared.items():
        if promised != found:
            given, computed = (", ".join(names) or "nothing" for names in (promised, found))
            raise BadVersion(
                f"The version can't be imported, because `{what}` of {layout.METADATA} names "
                f"{printable(given)}, and its graphs give {computed}; {KEPT}."
            )


def _outputs(parts: tuple[ExportPart, ...]) -> dict[str, str]:
    return {name: shape for part in parts for name, shape in part.outputs.items()}


def _register(
    spec: ModelSpec,
    files: Path,
    parts: tuple[ExportPart, ...],
    metadata: VersionMetadata,
    known: Knowledge,
) -> Version:
    """Make a run with what was measured, and register the files as its version."""
    client = store.connect(create=True)
    with _run(spec, known.origin) as run_id:
        measurements.write(run_id, known.measured)
        for row in known.measured:
            if row.is_main:
                client.log_metric(run_id, row.name, row.value)
        if known.run_card is not None:
            client.log_dict(run_id, dict(known.run_card), layout.RUN_CARD)
        version = registration.register_files(
            spec, files, parts, metadata, run_id, known.description, known.origin
        )
        try:
            for table in known.outcomes:
                outcomes.log(version, table)
        except BaseException:
            logged_model = logged_models.of_version(client, version)
            client.delete_model_version(version.name, str(version.number))
            logged_models.remove(client, logged_model)
            raise
    return version


@contextmanager
def _run(spec: ModelSpec, origin: str) -> Iterator[str]:
    """Make a run for an imported version; it is deleted if the block fails."""
    client, experiment = store.connect(), store.experiment(spec.name)
    tags = {entries.IMPORTED_FROM: origin}
    run = client.create_run(experiment, run_name=f"imported {spec.name}", tags=tags)
    run_id = str(run.info.run_id)
    with in_progress.working_on("run", run_id):
        try:
            yield run_id
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            client.delete_run(run_id)
            raise
        client.set_terminated(run_id)
