"""Temporary folders that no process leaves for good: the next one deletes what killed ones left."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from filelock import FileLock, Timeout

OURS = "expression-studio-"
"""How the names of all our temporary folders begin, those of visitors' pictures included."""
WORK = f"{OURS}work-"
"""How the names of folders for files on their way into or out of a store begin."""


class TemporaryFolder:
    """A folder that only this process uses; a lock beside it says so to other processes.

    Making one deletes those that killed processes of the same user left under the same prefix. As
    a context manager it gives its path and is deleted at the end of the block.

    Args:
        prefix: How its name begins.
        parent: The folder to make it in; the system's temporary folder where it is None.

    Raises:
        OSError: It can't be made.
    """

    def __init__(self, prefix: str = WORK, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        self.path = parent.resolve() / f"{prefix}{uuid4().hex}"
        self._lock = FileLock(_lock_path(self.path), thread_local=False)
        self._lock.acquire()  # before there is a folder, so that nobody takes it for abandoned
        self.path.mkdir(mode=0o700)
        _remove_abandoned(parent, prefix, self.path.lstat().st_uid)

    def close(self) -> None:
        """Delete the folder; it can't be used any more."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        _lock_path(self.path).unlink(missing_ok=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_abandoned(parent: Path, prefix: str, owner: int) -> None:
    """Delete the folders of this owner's processes that were killed: nobody holds their locks."""
    for folder in abandoned(parent, prefix, owner):
        remove_abandoned(folder)


def abandoned(parent: Path, prefix: str, owner: int | None = None) -> list[Path]:
    """Return the folders of killed processes.

    Args:
        parent: where they lie.
        prefix: how their names begin.
        owner: the user whose they are; this process's by default.
    """
    owner = os.getuid() if owner is None else owner
    return [
        path.with_suffix("")
        for path in sorted(parent.glob(f"{prefix}*.lock"))
        if _is_abandoned(path, owner)
    ]


def remove_abandoned(folder: Path) -> None:
    """Delete the folder of a killed process, unless another process does so now."""
    lock_path = _lock_path(folder)
    with suppress(OSError, Timeout):
        with FileLock(lock_path, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
        lock_path.unlink(missing_ok=True)


def _is_abandoned(lock_path: Path, owner: int) -> bool:
    folder = lock_path.with_suffix("")
    with suppress(OSError, Timeout):
        if lock_path.lstat().st_uid != owner or not folder.is_dir() or folder.is_symlink():
            return False
        with FileLock(lock_path, blocking=False):
            return True
    return False
