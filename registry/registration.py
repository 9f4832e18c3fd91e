"""Trained network -> registered version."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from registry import candidates, entries, logged_models, metadata_checks, store
from registry.catalog import CATALOG, ModelSpec
from registry.crops import CropSpec
from registry.entries import Version, VersionMetadata
from registry.errors import BadVersion
from registry.graphs import digests, export, export_parts, onnx_export
from registry.graphs.export_parts import ExportPart
from registry.graphs.file_names import CARD
from registry.store import in_progress
from registry.store.records import entry_of
from registry.temporary import TemporaryFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

FAILED = "nothing was registered"
MLFLOW_MODEL = "mlflow"
"""Name of the temporary folder with a version as MLflow's PyTorch model."""
MAY_BE_THERE = ("RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED")
"""MLflow's answers to whoever makes a registered model that is there, or may make none."""
OnnxOf = Callable[[ExportPart], Any]
"""Returns the ONNX graph of a frozen network: an `onnx.ModelProto`."""


def register(
    spec: ModelSpec,
    network: nn.Module,
    *,
    crop: CropSpec,
    run_id: str,
    config: Mapping[str, object],
    description: str,
    labels: tuple[str, ...] = (),
    temperature: float | None = None,
    data: Mapping[str, str] | None = None,
    starter: str | None = None,
    encoder: nn.Module | None = None,
    thresholds: Mapping[str, float] | None = None,
    class_prior: Mapping[str, float] | None = None,
    onnx: OnnxOf | None = None,
    name: str = "",
) -> Version:
    """Register a network as the newest version of its model; it is not promoted.

    Args:
        spec: the model.
        network: maps RGB faces in [0, 1], batch 3 h w (and a change), to the outputs by name.
        crop: how faces are cut for it.
        run_id: the MLflow run it comes from.
        config: plain values that rebuild the network.
        description: Markdown; what a person should know before promoting it.
        labels: what the columns of `logits` mean.
        temperature: what the logits were divided by.
        data: digest of each data set by name.
        starter: digest of the shipped weights it was made from.
        encoder: for a generator alone: what it was trained with; maps faces to outputs by name.
        thresholds: see `VersionMetadata.thresholds`.
        class_prior: see `VersionMetadata.class_prior`.
        onnx: the shipped ONNX graph of each part; with it alone the version waits for `complete`.
        name: the registered model; by default that of `candidates.registered_name`.

    Raises:
        BadVersion, Deleted, Unreachable: it can't be used or exported; as for `store.writing`.
    """
    parts = _checked_parts(spec, network, encoder, crop, labels, temperature, class_prior or {})
    metadata = VersionMetadata(
        crop=crop,
        labels=tuple(labels),
        temperature=temperature,
        starter=starter,
        **_copied(data=data, thresholds=thresholds, class_prior=class_prior),
        **_outputs(parts, onnx),
    )
    return _store(spec, parts, onnx, metadata, run_id, config, description, name)


def register_files(
    spec: ModelSpec,
    folder: Path,
    parts: Sequence[ExportPart],
    metadata: VersionMetadata,
    run_id: str,
    description: str,
    origin: str,
) -> Version:
    """Register the files of a version, as they are, as the newest version of its model.

    Args:
        spec: the model.
        folder: the files in their places; MLmodel and the card are added.
        parts: what the stored pt2 graphs compute, checked; the ONNX graphs are compared with it.
        metadata: what the version's user has to know, checked.
        run_id: the MLflow run that it belongs to.
        description: Markdown.
        origin: where it comes from, for the version's tag.

    Raises:
        BadVersion: an ONNX graph can't be loaded, or computes something else.
        Deleted, Unreachable: as for `store.writing`.
    """
    client, name = store.connect(), candidates.registered_name(spec.name)
    with store.writing(f"The version of {name}", run_id, FAILED, name):
        (folder / CARD).write_text(export.card_text(spec, metadata, description), encoding="utf-8")
        logged_model = logged_models.create(client, spec, run_id)
        marked = in_progress.working_on("model", logged_model.model_id)
        with marked, logged_models.undone_on_failure(client, logged_model):
            export.write_mlmodel(folder, logged_model, parts)
            _store_files(client, logged_model, parts, spec, folder)
            metadata = replace(metadata, digests=digests.of(folder))
            tags = {entries.IMPORTED_FROM: origin}
            entry = _create_version(client, spec, name, logged_model, description, metadata, tags)
    return entries.read(entry_of(entry, []))


def complete(version: Version, network: nn.Module, encoder: nn.Module | None = None) -> None:
    """Add torch.export's graphs to a version that was registered with its ONNX graphs alone.

    Args:
        version: the version.
        network: what it was registered from; see `register`.
        encoder: the same of a generator.

    Raises:
        BadVersion: a network can't be exported, or its exported graph computes something else.
        Deleted: the version or its run was deleted meanwhile.
        Unreachable: the store does not answer, or its disk is full or read-only.
    """
    spec, number = CATALOG[version.model], str(version.number)
    parts = export_parts.freeze_parts(spec, network, encoder, version.crop.size_px, version.labels)
    client = store.connect()
    with (
        store.writing(version.title, version.run_id, model=version.name),
        TemporaryFolder() as scratch,
    ):
        export.require_space(scratch, store.folder(), parts)
        logged_model = logged_models.of_version(client, version)
        with in_progress.working_on("model", logged_model.model_id):
            _store_graphs(client, logged_model, parts, spec, scratch)
            found = {**version.digests, **digests.of(scratch / MLFLOW_MODEL)}
            client.set_model_version_tag(version.name, number, entries.DIGESTS, json.dumps(found))
            client.delete_model_version_tag(version.name, number, entries.WITHOUT_PT2)


def _checked_parts(
    spec: ModelSpec,
    network: nn.Module,
    encoder: nn.Module | None,
    crop: CropSpec,
    labels: tuple[str, ...],
    temperature: float | None,
    class_prior: Mapping[str, float],
) -> tuple[ExportPart, ...]:
    """Return the networks to export; raise, before that, if nobody could use the version."""
    try:
        metadata_checks.check_crop(crop.size_px, crop.margin, crop.roll)
        metadata_checks.check_labels(labels, spec.outputs)
        metadata_checks.check_numbers(temperature, 0, {})
        metadata_checks.check_class_prior(class_prior, labels)
    except metadata_checks.MetadataError as error:
        raise BadVersion(
            f"A version of {spec.name} was not registered, because {error}."
        ) from error
    return export_parts.freeze_parts(spec, network, encoder, crop.size_px, labels)


def _copied(**mappings: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: dict(values or {}) for name, values in mappings.items()}


def _outputs(parts: Sequence[ExportPart], onnx: OnnxOf | None) -> dict[str, Any]:
    """Return the fields of the metadata that say what goes in and comes out, and of which graph."""
    first, *others = parts
    encoder = {name: shape for part in others for name, shape in part.outputs.items()}
    fields = {"outputs": dict(first.outputs), "encoder": encoder, "condition": first.condition}
    return fields | {"without_pt2": onnx is not None}


def _store(
    spec: ModelSpec,
    parts: Sequence[ExportPart],
    onnx: OnnxOf | None,
    metadata: VersionMetadata,
    run_id: str,
    config: Mapping[str, object],
    description: str,
    name: str,
) -> Version:
    """Write the files, compare the stored graphs with the networks, then register the version."""
    client, onnx = store.connect(), onnx or partial(export.export_onnx, spec=spec)
    name = name or candidates.registered_name(spec.name)
    writing = store.writing(f"The version of {name}", run_id, FAILED, name)
    with writing, TemporaryFolder() as scratch:
        export.require_space(scratch, store.folder(), parts)
        files = scratch / "files"
        files.mkdir()
        text = export.card_text(spec, metadata, description)
        export.write_extra_files(files, parts, config, text)
        for part in parts:
            model = onnx_export.optimized(onnx(part))
            (files / part.onnx_file).write_bytes(model.SerializeToString())
        logged_model = logged_models.create(client, spec, run_id)
        marked = in_progress.working_on("model", logged_model.model_id)
        with marked, logged_models.undone_on_failure(client, logged_model):
            _store_files(client, logged_model, parts, spec, files)
            if not metadata.without_pt2:
                _store_graphs(client, logged_model, parts, spec, scratch)
            found = digests.of(files) | digests.of(scratch / MLFLOW_MODEL)
            metadata = replace(metadata, digests=found)
            entry = _create_version(client, spec, name, logged_model, description, metadata)
    return entries.read(entry_of(entry, []))


def _store_files(
    client: "MlflowClient",
    logged_model: "LoggedModel",
    parts: Sequence[ExportPart],
    spec: ModelSpec,
    files: Path,
) -> None:
    """Store the files that don't depend on PyTorch, and compare the ONNX graphs among them."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    model_id = logged_model.model_id
    client.log_outputs(logged_model.source_run_id, [LoggedModelOutput(model_id, step=0)])
    client.log_model_artifacts(model_id, str(files))
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    with logged_models.stored_files(logged_model) as stored:
        for part in parts:
            export.check_stored_onnx(stored, part, spec)


def _store_graphs(
    client: "MlflowClient",
    logged_model: "LoggedModel",
    parts: Sequence[ExportPart],
    spec: ModelSpec,
    scratch: Path,
) -> None:
    """Export the networks as MLflow's PyTorch model, and compare what is stored with them."""
    first, *others = parts
    extra_files = [export.write_graph(scratch, part, spec) for part in others]
    folder = scratch / MLFLOW_MODEL
    export.write_mlflow_model(folder, logged_model, first, spec, extra_files)
    client.log_model_artifacts(logged_model.model_id, str(folder))
    with logged_models.stored_files(logged_model) as stored:
        for part in parts:
            export.check_stored(stored, part, spec)


def _create_version(
    client: "MlflowClient",
    spec: ModelSpec,
    name: str,
    logged_model: "LoggedModel",
    description: str,
    metadata: VersionMetadata,
    tags: Mapping[str, str] | None = None,
) -> "ModelVersion":
    """Make a logged model the newest version of its registered model, with its tags at once."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=f"**{spec.title}.** {spec.purpose}")
    except MlflowException as error:
        if error.error_code not in MAY_BE_THERE:
            raise
    return client.create_model_version(
        name,
        f"{entries.LOGGED_MODEL}{logged_model.model_id}",
        logged_model.source_run_id,
        metadata.to_tags() | dict(tags or {}),
        description=description,
        model_id=logged_model.model_id,
    )
