"""Where runs and versions are kept: mlruns/ of this checkout, or an MLflow server."""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from registry.errors import Unreachable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PROJECT = Path(__file__).parent.parent
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
_connecting = threading.RLock()


def folder() -> Path | None:
    """Return the local folder of runs and versions, or None where a server keeps them.

    EXPRESSION_STUDIO_STORE names another folder than mlruns/; MLFLOW_TRACKING_URI names a server.
    """
    if chosen := os.environ.get("EXPRESSION_STUDIO_STORE"):
        return Path(chosen).expanduser().resolve()
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    return PROJECT / "mlruns"


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
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    local, uri = folder(), tracking_uri()
    if local is None:
        _ping(uri)
    with _connecting, answering():
        if local is not None:
            _create(local)
        _choose(uri)
        from mlflow import MlflowClient

        return MlflowClient(uri, uri)


@contextmanager
def answering() -> Iterator[None]:
    """Turn every way in which MLflow fails to answer into one sentence.

    What it answers about a thing that doesn't exist, or that it refuses, passes through.

    Raises:
        Unreachable: no answer.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            raise
        raise _unreachable(error) from error
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        raise _unreachable(error) from error


def experiment(name: str) -> str:
    """Return the id of an experiment whose artifacts lie in this store; created when absent.

    One that a moved checkout left behind is renamed: its artifacts' place can't be changed.

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
            return _revived(client, found)
        try:
            return str(client.create_experiment(name, artifact_location=_artifacts(name)))
        except MlflowException:
            if found := client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise


def _revived(client: "MlflowClient", found: "Experiment") -> str:
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _artifacts(name: str) -> str | None:
    local = folder()
    return None if local is None else (local / "artifacts" / name).as_uri()


def _is_here(found: "Experiment") -> bool:
    local = folder()
    return local is None or str(found.artifact_location).startswith(local.as_uri() + "/")


def _choose(uri: str) -> None:
    """Make `uri` MLflow's own default too, without telling every child process."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before


def _ping(uri: str) -> None:
    """Ask a server for a sign of life; other stores answer at their first use."""
    if not uri.startswith(("http://", "https://")):
        return
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._tracking_service.utils import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    ask = {"max_retries": 0, "timeout": ANSWER_WITHIN_SECONDS, "raise_on_status": False}
    try:
        http_request(get_default_host_creds(uri), "/health", "GET", **ask)
    except MlflowException as error:
        raise _unreachable() from error


def _create(local: Path) -> None:
    """Create a local store when there is none: built aside, so that no half database is seen."""
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
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _sqlite(database: Path) -> str:
    return f"sqlite:///{database.as_posix()}"


def _unreachable(error: Exception | None = None) -> Unreachable:
    reason = f" ({str(error).strip().splitlines()[0][:200].rstrip('.')})" if error else ""
    if folder() is None:
        return Unreachable(
            f"The MLflow server {tracking_uri()} does not answer{reason}: start it, or unset "
            "MLFLOW_TRACKING_URI to use this checkout's own mlruns/."
        )
    return Unreachable(
        f"The registry in {folder()} can't be read{reason}: move the folder aside and run "
        "`python app.py seed` for a fresh one."
    )
