"""Which runs and models of a local store a process writes now: a locked file for each.

The operating system frees the lock when the process ends, however it ends. A file that is there
and not locked is of a process that was killed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from registry import store

FOLDER = "in-progress"
Kind = Literal["run", "model"]


@contextmanager
def working_on(kind: Kind, identifier: str) -> Iterator[None]:
    """Mark a run or a logged model as written by this process until the block ends.

    Does nothing for a store that isn't local.

    Raises:
        Unreachable: the store can't be written.
    """
    folder = store.folder()
    with ExitStack() as stack:
        if folder is not None:
            file = folder / FOLDER / f"{kind}-{identifier}"
            with store.answering():
                file.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_held(file))
        yield


@contextmanager
def _held(file: Path) -> Iterator[None]:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=1)  # `marked` may hold it for a moment
    except Timeout:  # this process marked it before
        yield
        return
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def marked() -> dict[tuple[str, str], bool]:
    """Return the kind and id of what is marked, and whether the process that marked it lives.

    Raises:
        OSError: the files can't be opened.
    """
    return {_parse(file): _is_held(file) for file in _files()}


def forget(kind: str, identifier: str) -> None:
    """Remove the file of a process that was killed."""
    for file in _files():
        if _parse(file) == (kind, identifier):
            file.unlink(missing_ok=True)


def _files() -> list[Path]:
    folder = store.folder()
    return sorted((folder / FOLDER).glob("*-*")) if folder else []


def _parse(file: Path) -> tuple[str, str]:
    kind, _, identifier = file.name.partition("-")
    return kind, identifier


def _is_held(file: Path) -> bool:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
