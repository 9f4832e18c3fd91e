"""Where runs and versions are stored: mlruns/ of this checkout, or an MLflow server."""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from registry import proxies, store_errors
from registry.errors import RegistryError, is_checkout

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PROJECT = Path(__file__).parent.parent
"""The folder that holds this package: a checkout, or the site-packages of an environment."""
ANSWER_WITHIN_SECONDS = 5
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
MLFLOW_DEFAULTS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
ANSWERS = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"}
"""MLflow's error codes that are answers about one thing, not failures of the store."""
_connecting = threading.RLock()


def folder() -> Path | None:
    """Return the local folder of runs and versions, or None where a server has them.

    EXPRESSION_STUDIO_STORE names a folder, MLFLOW_TRACKING_URI a server. Without them it is mlruns/
    of the checkout, or of the current folder where the package is installed without one.
    """
    if chosen := os.environ.get("EXPRESSION_STUDIO_STORE"):
        return Path(chosen).expanduser().resolve()
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    return (PROJECT if is_checkout() else Path.cwd()) / "mlruns"


def tracking_uri() -> str:
    """Return what MLflow calls the tracking URI."""
    local = folder()
    return os.environ["MLFLOW_TRACKING_URI"] if local is None else _sqlite(local / "mlflow.db")


def connect() -> "MlflowClient":
    """Return a client of the store; a local one is created at its first use, which takes seconds.

    Safe from several threads and processes at once.

    Raises:
        Unreachable: the server does not answer, or the local database can't be read.
    """
    os.environ.update(MLFLOW_ENVIRONMENT)
    proxies.bypass_for_loopback()
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # raised as well
    local, uri = folder(), tracking_uri()
    if local is None:
        _ping(uri)
    with _connecting, answering():
        if local is not None:
            _create(local)
        _set_uri(uri)
        from mlflow import MlflowClient

        return MlflowClient(uri, uri)


@contextmanager
def answering(outcome: str = "") -> Iterator[None]:
    """Turn every failure of MLflow or the disk into one sentence.

    MLflow's errors about a thing that doesn't exist, or that it refuses, pass through.

    Args:
        outcome: what a failure means, at the end of the sentence: "nothing was registered".

    Raises:
        Unreachable: the server does not answer, the database can't be read, or the disk is full or
            not writable for this user.
    """
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        if not _is_failure(error):
            raise
        raise store_errors.to_unreachable(
            error, folder=folder(), uri=tracking_uri(), outcome=outcome
        ) from error


def _is_failure(error: Exception) -> bool:
    """Return whether the store failed, and not what it was used for."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, MlflowException):
        return error.error_code not in ANSWERS
    return isinstance(error, SQLAlchemyError | OSError | sqlite3.Error) or (
        store_errors.is_disk_failure(error)
    )


def experiment(name: str) -> str:
    """Return the id of an experiment whose artifacts lie in this store; created when absent.

    One whose artifacts lie elsewhere, because the store was moved, is renamed: MLflow can't change
    the place of its artifacts.

    Raises:
        Unreachable: as for `connect`.
    """
    from mlflow.exceptions import MlflowException

    client = connect()
    with answering():
        found = client.get_experiment_by_name(name)
        if found and not _is_here(found):
            client.rename_experiment(found.experiment_id, f"{name} (moved, {found.experiment_id})")
            found = None
        if found:
            return _restored(client, found)
        try:
            return str(client.create_experiment(name, artifact_location=_artifacts(name)))
        except MlflowException:
            if found := client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise


def _restored(client: "MlflowClient", found: "Experiment") -> str:
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _artifacts(name: str) -> str | None:
    local = folder()
    return None if local is None else (local / "artifacts" / name).as_uri()


def _is_here(found: "Experiment") -> bool:
    local = folder()
    return local is None or str(found.artifact_location).startswith(local.as_uri() + "/")


def _set_uri(uri: str) -> None:
    """Make `uri` MLflow's own default, leaving the environment of child processes as it is."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before


def _ping(uri: str) -> None:
    """Check within seconds that a server answers; other stores are checked at their first use."""
    if not uri.startswith(("http://", "https://")):
        return
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._tracking_service.utils import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    options = {"max_retries": 0, "timeout": ANSWER_WITHIN_SECONDS, "raise_on_status": False}
    try:
        http_request(get_default_host_creds(uri), "/health", "GET", **options)
    except MlflowException as error:
        raise store_errors.no_server(uri) from error


def _create(local: Path) -> None:
    """Create a local store when there is none.

    It is built under another name, so that no other process reads a half-written database.
    """
    database = local / "mlflow.db"
    if database.exists():
        return
    local.mkdir(parents=True, exist_ok=True)
    with FileLock(local / ".lock"):
        if database.exists():
            return
        building = local / "mlflow.db.building"
        for leftover in local.glob("mlflow.db.building*"):
            leftover.unlink()
        _migrate(building, local / "artifacts")
        building.replace(database)


def _migrate(database: Path, artifacts: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        with _quiet("mlflow", "alembic"):
            SqlAlchemyStore(_sqlite(database), artifacts.as_uri()).engine.dispose()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _sqlite(database: Path) -> str:
    return f"sqlite:///{database.as_posix()}"
