"""Trained network -> registered version."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from torch import nn

from registry import entries, export, store
from registry.catalog import ModelSpec
from registry.entries import Version, VersionMetadata
from registry.faces import CropSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel


def register(
    card: ModelSpec,
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
) -> Version:
    """Register a network as the newest version of its model; it is not promoted.

    What was stored is compared with the network before anything is registered.

    Args:
        card: the model.
        network: maps RGB faces in [0, 1], float32 batch 3 h w, to the card's outputs by name; a
            generator takes a change of the condition beside the faces.
        crop: how faces are cut for it.
        run_id: the MLflow run it comes from.
        config: rebuilds the network; plain values.
        description: Markdown; what a person should know before promoting it.
        labels: what the columns of `logits` mean.
        temperature: what the logits were divided by.
        data: digest of each data set by name.
        starter: digest of the shipped weights it was made from.
        encoder: for a card that names an encoder's outputs, and only for that: the network whose
            expressions the generator was trained with; maps faces to these outputs by name, and
            to `condition`, batch and any number, where a change is of something else.
        thresholds: what its answers are held against, by name; see `Version.thresholds`.

    Raises:
        BadVersion: a network fails, can't be exported, or its graph computes something else.
        Unreachable: the store does not answer.
    """
    first, *others = parts = export.parts(card, network, encoder, crop.size_px)
    facts = VersionMetadata(
        crop=crop,
        outputs=dict(first.outputs),
        labels=tuple(labels),
        temperature=temperature,
        data=dict(data or {}),
        starter=starter,
        encoder={name: shape for part in others for name, shape in part.outputs.items()},
        condition=first.condition,
        thresholds=dict(thresholds or {}),
    )
    client = store.connect()
    with store.answering(), TemporaryDirectory() as aside:
        text = export.card_text(card, facts, description)
        beside = export.write_beside(Path(aside), parts, config, text)
        beside += [export.write_graph(Path(aside), part, card) for part in others]
        place = _place(client, card, run_id)
        with _undone_on_failure(client, place):
            export.log(place, first, card, beside)
            with _stored(place) as folder:
                for part in parts:
                    export.check_stored(folder, part, card)
        return _enter(client, card, place, description, facts)


def _place(client: "MlflowClient", card: ModelSpec, run_id: str) -> "LoggedModel":
    """Create the place of a model beside its run's artifacts."""
    run = client.get_run(run_id)
    return client.create_logged_model(
        run.info.experiment_id, card.name, source_run_id=run_id, params=run.data.params
    )


def _enter(
    client: "MlflowClient",
    card: ModelSpec,
    place: "LoggedModel",
    description: str,
    facts: VersionMetadata,
) -> Version:
    """Write a logged model into the registry, with all it carries at once."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        client.create_registered_model(card.name, description=f"**{card.title}.** {card.purpose}")
    entry = client.create_model_version(
        card.name,
        f"models:/{place.model_id}",
        place.source_run_id,
        facts.tags(),
        description=description,
        model_id=place.model_id,
    )
    return entries.read(entry)


@contextmanager
def _stored(place: "LoggedModel") -> Iterator[Path]:
    """Give the folder of a logged model; a server's is fetched and removed after."""
    folder = entries.local_folder(place.artifact_location)
    if folder is not None:
        yield folder
        return
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory(prefix="expression-studio-") as fetched:
        yield Path(download_artifacts(artifact_uri=f"models:/{place.model_id}", dst_path=fetched))


@contextmanager
def _undone_on_failure(client: "MlflowClient", place: "LoggedModel") -> Iterator[None]:
    try:
        yield
    except Exception:
        client.delete_logged_model(place.model_id)
        folder = entries.local_folder(place.artifact_location)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
