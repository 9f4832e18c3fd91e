"""MLflow's logged models: the folders with the files of versions."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry import entries
from registry.catalog import ModelSpec
from registry.entries import Version
from registry.temporary import TemporaryFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

logger = logging.getLogger(__name__)


def create(client: "MlflowClient", spec: ModelSpec, run_id: str) -> "LoggedModel":
    """Create an empty logged model next to its run's artifacts."""
    run = client.get_run(run_id)
    return client.create_logged_model(
        run.info.experiment_id, spec.name, source_run_id=run_id, params=run.data.params
    )


def of_version(client: "MlflowClient", version: Version) -> "LoggedModel":
    """Return the logged model with the files of a version."""
    found = client.get_model_version(version.name, str(version.number))
    model_id = found.model_id or found.source.removeprefix(entries.LOGGED_MODEL)
    return client.get_logged_model(model_id)


@contextmanager
def stored_files(logged_model: "LoggedModel") -> Iterator[Path]:
    """Give the folder of a logged model; a server's is fetched and removed after."""
    folder = entries.local_folder(logged_model.artifact_location)
    if folder is not None:
        yield folder
        return
    from mlflow.artifacts import download_artifacts

    with TemporaryFolder() as fetched:
        uri = f"{entries.LOGGED_MODEL}{logged_model.model_id}"
        yield Path(download_artifacts(artifact_uri=uri, dst_path=str(fetched)))


def remove(client: "MlflowClient", logged_model: "LoggedModel") -> None:
    """Remove a logged model and its files, first the files: they need space."""
    folder = entries.local_folder(logged_model.artifact_location)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    client.delete_logged_model(logged_model.model_id)


@contextmanager
def undone_on_failure(client: "MlflowClient", logged_model: "LoggedModel") -> Iterator[None]:
    """Remove a logged model and its files if the block fails."""
    try:
        yield
    except Exception:
        try:
            remove(client, logged_model)
        except Exception:
            logger.exception("The logged model %s could not be removed.", logged_model.model_id)
        raise
