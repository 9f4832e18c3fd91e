"""The deletion of what a plan names, for good, each step so that a kill leaves nothing half alive.

A version goes first from the registry, then its files: what is left after a kill belongs to no
version, and the next deletion takes it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry import store
from registry.errors import RegistryError
from registry.retention import files
from registry.retention.kept import still_needed
from registry.retention.plan import Item
from registry.store.records import open_records
from registry.temporary import remove_abandoned

logger = logging.getLogger(__name__)
LEFT_ON_SERVER = (
    "The rows of deleted runs stay in the server's database, marked as deleted: whoever runs it "
    "removes them with `mlflow gc`."
)


def delete_all(items: Sequence[Item]) -> Iterator[tuple[Item, str]]:
    """Delete items for good, versions first; yield each with why it stays, or "".

    What is gone already is no failure. Where a version stays, so do its files and its run.

    Raises:
        Unreachable: the store does not answer.
    """
    versions = [item for item in items if item.kind == "version"]
    for item in versions:
        yield item, _delete(item)
    used = _used()
    for item in items:
        if item.kind != "version":
            is_used = item.identifier in used or item.location in used
            yield item, "a version needs it" if is_used else _delete(item)


def _used() -> set[str]:
    """Return the runs of all versions, and the places of their files."""
    with store.answering():
        records = open_records()
        entries = records.entries(None)
        places = {records.location(entry.name, entry.number) for entry in entries}
    return places | {entry.run_id for entry in entries}


def _delete(item: Item) -> str:
    try:
        return _DELETE[item.kind](item) or ""
    except RegistryError as error:
        logger.warning("%s is not deleted", item.title, exc_info=True)
        store.connect()  # the store may be gone, and not this item
        return str(error)


def deletes_rows() -> bool:
    """Return whether runs vanish from the database, too: not through a server.

    Raises:
        Unreachable: the store does not answer.
    """
    store.connect()
    return hasattr(_tracking_store(), "_hard_delete_run")


def _version(item: Item) -> str | None:
    name, _, number = item.identifier.rpartition("/")
    if still_needed(name, int(number)):
        return "it was promoted, or given an alias, meanwhile"
    client = store.connect()
    with _deleting():
        client.delete_model_version(name, number)
    return None


def _model(item: Item) -> None:
    client = store.connect()
    files.delete(item.location)
    with _deleting():
        client.delete_logged_model(item.identifier)
    with _deleting():
        _hard_delete("_hard_delete_logged_model", item.identifier)


def _run(item: Item) -> None:
    client = store.connect()
    with _deleting():
        client.delete_run(item.identifier)
    files.delete(item.location)
    with _deleting():
        _hard_delete("_hard_delete_run", item.identifier)


def _index(item: Item) -> str | None:
    return None if files.delete_index(Path(item.identifier)) else "a process writes it now"


def _folder(item: Item) -> None:
    remove_abandoned(Path(item.identifier))


_DELETE: Mapping[str, Callable[[Item], str | None]] = {
    "version": _version,
    "model": _model,
    "run": _run,
    "index": _index,
    "folder": _folder,
}


def _hard_delete(method: str, identifier: str) -> None:
    """Delete a row that was deleted softly; MLflow offers it to `mlflow gc` alone, by this name."""
    delete_row = getattr(_tracking_store(), method, None)
    if delete_row is not None:
        delete_row(identifier)


def _tracking_store() -> Any:
    from mlflow.tracking._tracking_service.utils import _get_store

    return _get_store(store.tracking_uri())


@contextmanager
def _deleting() -> Iterator[None]:
    """Ignore that MLflow doesn't know what is to be deleted: it is gone already.

    Raises:
        Unreachable: as for `store.answering`.
    """
    from mlflow.exceptions import MlflowException

    try:
        with store.answering():
            yield
    except MlflowException:  # an answer, such as that there is no such run
        logger.info("What was to be deleted is gone already.", exc_info=True)
