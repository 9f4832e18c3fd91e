"""Where runs and versions are stored: mlruns/ of this checkout, or an MLflow server."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.addresses import is_web, split_login
from registry.errors import (
    Deleted,
    EmptyRegistry,
    RegistryError,
    Unreachable,
    app_command,
    first_line,
    is_checkout,
)
from registry.store import database, mlflow_client, store_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PROJECT = Path(__file__).parents[2]
"""The folder that holds this package: a checkout, or the site-packages of an environment."""
GONE = "RESOURCE_DOES_NOT_EXIST"
ANSWERS = {GONE, "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"}
"""MLflow's error codes that are answers about one thing, not failures of the store."""
_connecting = threading.RLock()
_used: set[Path] = set()
"""The local databases that this process has used."""
_checked: set[str] = set()
"""The addresses of databases that have all tables."""


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
    """Return what MLflow calls the tracking URI; a web server's has no user and password."""
    local = folder()
    if local is not None:
        return database.address(local / database.NAME)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    return split_login(uri)[0] if is_web(uri) else uri


def exists() -> bool:
    """Return whether there is a store: a server, or a local database that was created.

    Raises:
        Unreachable: this process has found the local database before, and it is gone.
    """
    local = folder()
    if local is None:
        return True
    file = local / database.NAME
    if database.is_there(file):
        _used.add(file)
        return True
    if file in _used:
        raise store_errors.absent(local)
    return False


def connect(*, create: bool = False) -> "MlflowClient":
    """Return a client of the store. Safe from several threads and processes at once.

    Args:
        create: make a local store where there is none, which takes seconds. A local database that
            this process has used, and that is gone, is never made again.

    Raises:
        EmptyRegistry: there is no local store.
        Unreachable: the server does not answer, or the local database can't be used; the message
            says why.
    """
    mlflow_client.configure()
    local = folder()
    if local is None:
        with answering():
            mlflow_client.ping(tracking_uri())
    with _connecting, answering():
        if local is not None:
            _open_local(local, create)
        return mlflow_client.client(tracking_uri())


def _open_local(local: Path, create: bool) -> None:
    """Check that MLflow can use a local database, and would not change its schema unasked."""
    _require_database(local, create)
    file = local / database.NAME
    _used.add(file)
    address = database.address(file)
    if address not in _checked:
        if not database.has_all_tables(file) and (problem := store_errors.other_schema(local)):
            raise problem
        _checked.add(address)


def _require_database(local: Path, create: bool) -> None:
    """Check that there is a local database with something in it, or create it."""
    _require_readable_name(local)
    file = local / database.NAME
    if not exists():
        if not create:
            raise EmptyRegistry(
                f"There is no registry in {local} yet: `{app_command()} seed` registers the "
                "starters."
            )
        database.create(local)
    with answering():
        size_bytes = file.stat().st_size
    if not size_bytes:
        raise store_errors.damaged(local, f"{database.NAME} is empty, 0 bytes")


def _require_readable_name(local: Path) -> None:
    """Raise if MLflow can't name the folder in the addresses of its files."""
    try:
        str(local).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(local).decode("utf-8", "backslashreplace")
        raise Unreachable(
            f"The folder {shown} can't hold a registry, because its name isn't UTF-8: rename it, "
            "or set EXPRESSION_STUDIO_STORE to another folder."
        ) from None


@contextmanager
def answering(outcome: str = "", model: str = "") -> Iterator[None]:
    """Turn every failure of MLflow or the disk into one sentence.

    MLflow's errors about a thing that doesn't exist, or that it refuses, pass through.

    Args:
        outcome: what a failure means, at the end of the sentence: "nothing was registered".
        model: the registered model that is used, where one is.

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
            error, folder=folder(), uri=tracking_uri(), outcome=outcome, model=model
        ) from error


@contextmanager
def writing(thing: str, run_id: str = "", outcome: str = "", model: str = "") -> Iterator[None]:
    """Turn every failure to write to a thing into one sentence.

    Args:
        thing: what is written, at the beginning of the sentence: "The table of run 7".
        run_id: the run that it belongs to; empty where it belongs to none.
        outcome: what a failure means; by default that the thing was not written.
        model: the registered model that is written to; empty where none is.

    Raises:
        Deleted: the thing, or what it belongs to, is no longer there under its name.
        Unreachable: as for `answering`.
    """
    from mlflow.exceptions import MlflowException

    outcome = outcome or f"{thing[:1].lower()}{thing[1:]} was not written"
    try:
        with answering(outcome, model):
            yield
    except MlflowException as error:
        if error.error_code != GONE and not (run_id and not is_active(run_id)):
            raise
        raise Deleted(
            f"{thing} can't be written ({first_line(error)}), because it was deleted or renamed in "
            f"MLflow meanwhile, or what it belongs to: restore that in MLflow; {outcome}."
        ) from error


def is_active(run_id: str) -> bool:
    """Return whether there is a run that wasn't deleted.

    Raises:
        Unreachable: the store does not answer.
    """
    from mlflow.exceptions import MlflowException

    client = connect()
    try:
        with answering():
            return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException:
        return False


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

    A local store is created, too.

    One whose artifacts lie elsewhere, because the store was moved, is renamed: MLflow can't change
    the place of its artifacts.

    Raises:
        Unreachable: as for `connect`.
    """
    from mlflow.exceptions import MlflowException

    client = connect(create=True)
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


def upgrade() -> str:
    """Bring the local database to the installed MLflow's schema; return what was done.

    A copy of the database is made first. A failure leaves the database as it was.

    Raises:
        EmptyRegistry: there is no local store.
        Unreachable: the database can't be read or written, or the store is a server's.
    """
    local = folder()
    if local is None:
        raise Unreachable(
            f"The store {tracking_uri()} is a server's: whoever runs it upgrades it, with "
            "`mlflow db upgrade`."
        )
    _require_database(local, create=False)
    with answering("the database is as it was before"):
        copy = database.upgrade(local)
        if copy is None and (problem := store_errors.other_schema(local)):
            raise problem
    if copy is None:
        return f"The registry in {local} has the schema of the installed MLflow already."
    return f"The registry in {local} was upgraded; as it was before, it is in {copy}."


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
