"""Files of runs, models and caches: how large they are, and their deletion; here or on a server."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from registry import entries, store
from registry.temporary import OURS, abandoned

SEARCH = "search"
"""The folder of the local store with the indexes of searched folders."""
INDEX_LOCK = "index.lock"


def size_bytes(location: str) -> int:
    """Return how much the files of an artifact location take together.

    Raises:
        Unreachable: the server does not answer.
    """
    folder = entries.local_folder(location)
    return _remote_bytes(location) if folder is None else folder_bytes(folder)


def folder_bytes(folder: Path) -> int:
    """Return how much the files of a folder take together."""
    return sum(size for size, _ in _files(folder))


def delete(location: str) -> None:
    """Delete the files of an artifact location; local files outside the store's folder stay.

    Raises:
        Unreachable: they can't be deleted.
    """
    folder, local = entries.local_folder(location), store.folder()
    if folder is None or local is None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with store.answering("its files stay"):
            get_artifact_repository(location).delete_artifacts()
    elif folder.is_relative_to(local) and folder.is_dir():
        with store.answering("its files stay"):
            shutil.rmtree(folder)
        with suppress(OSError):  # the folder of a run holds its artifacts alone
            folder.parent.rmdir()


def abandoned_folders() -> list[Path]:
    """Return the temporary folders, with visitors' uploads too, of programs that were killed."""
    return abandoned(Path(tempfile.gettempdir()), OURS)


def unused_indexes(cutoff: float) -> list[Path]:
    """Return the indexes of searched folders that were neither written nor read since a time.

    Args:
        cutoff: seconds since 1970.
    """
    local = store.folder()
    folders = sorted((local / SEARCH).glob("*")) if local else []
    return [each for each in folders if each.is_dir() and _last_used(each) < cutoff]


def delete_index(folder: Path) -> bool:
    """Delete an index unless a process writes it now; return whether it was deleted."""
    try:
        with FileLock(folder / INDEX_LOCK, timeout=0):
            shutil.rmtree(folder)
    except Timeout:
        return False
    return True


def _last_used(folder: Path) -> float:
    return max((used for _, used in _files(folder)), default=folder.stat().st_mtime)


def _files(folder: Path) -> Iterator[tuple[int, float]]:
    """Yield the size of each file, and when it was last written or read."""
    for path in folder.rglob("*"):
        with suppress(OSError):  # it has just been deleted
            status = path.lstat()
            if path.is_file() and not path.is_symlink():
                yield status.st_size, max(status.st_mtime, status.st_atime)


def _remote_bytes(location: str) -> int:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with store.answering():
        repository, total, folders = get_artifact_repository(location), 0, [""]
        while folders:
            for found in repository.list_artifacts(folders.pop() or None):
                if found.is_dir:
                    folders.append(found.path)
                else:
                    total += found.file_size or 0
    return total
