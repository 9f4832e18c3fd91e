"""An exported version -> a version of this registry; nothing in the folder is trusted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from registry import (
    entries,
    logged_models,
    measurements,
    outcomes,
    registration,
    store,
)
from registry.catalog import CATALOG, ModelSpec, model_of
from registry.console import printable
from registry.entries import Version, VersionMetadata
from registry.errors import BadExport, BadVersion, GraphError, first_line
from registry.exchange import checksums, knowledge, layout
from registry.exchange.knowledge import Knowledge
from registry.exchange.layout import KEPT
from registry.graphs import export_parts, file_names, graph
from registry.graphs.export_parts import ExportPart
from registry.store import in_progress, store_errors
from registry.temporary import TemporaryFolder


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
    try:
        names = checksums.verify(folder)
        known = knowledge.read(folder, names)
    except OSError as error:
        where, reason = error.filename or folder, first_line(error)
        raise BadExport(f"{where} can't be read ({reason}); {KEPT}.") from error
    spec = _spec(name or model_of(known.model))
    store.connect(create=True)
    with store.answering(KEPT), TemporaryFolder() as scratch:
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


def _copy_files(folder: Path, names: set[str], target: Path, *, with_encoder: bool) -> None:
    """Copy graphs, weights and configuration to their places in a version's folder."""
    files = layout.version_files(with_encoder=with_encoder)
    if missing := [name for name in files.values() if name not in names]:
        raise BadExport(f"{folder} is no whole export: it has no {', '.join(missing)}; {KEPT}.")
    size_bytes = sum((folder / name).stat().st_size for name in files.values())
    local = store.folder()
    needed = {target.parent: size_bytes}
    store_errors.require_space(needed | ({local: size_bytes} if local else {}))
    knowledge.read_json(folder / files[file_names.CONFIG])
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
    client = store.connect()
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
