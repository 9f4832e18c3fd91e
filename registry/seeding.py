"""Whether the starters are being registered now, by any process, and how far that is."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

from filelock import FileLock, Timeout

from registry import store
from registry.files import atomic_write

LOCK, STATUS = "seed.lock", "seeding.json"
"""The process that seeds holds the lock, and writes into the other file how far it is."""
UNDER_WAY = "registering starters"
ASKED_WITHIN_SECONDS = 0.1
"""Who only asks holds the lock for much less than this, who seeds for seconds."""


@contextmanager
def seeding() -> Iterator[None]:
    """Register starters inside the block; another thread or process that seeds waits until it ends.

    One thread may enter it twice, one inside the other.

    Raises:
        OSError: the store's folder can't be written.
    """
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder) as lock:
        if lock.lock_counter == 1:
            (folder / STATUS).unlink(missing_ok=True)
        yield


def report(number: int, count: int) -> None:
    """Write that the `number`th of `count` starters is being registered; inside `seeding` only.

    Raises:
        OSError: the store's folder can't be written.
    """
    with atomic_write(_folder() / STATUS) as part:
        part.write_text(json.dumps([number, count]), encoding="utf-8")


def progress() -> str | None:
    """Return "registering starters, 2 of 3" while another thread or process does so, else None."""
    lock = _lock(_folder())
    try:
        if Path(lock.lock_file).exists():
            with lock.acquire(timeout=ASKED_WITHIN_SECONDS, poll_interval=0.01):
                return None
    except Timeout:
        return _sentence()
    except OSError:  # a folder that this user may only read: who seeds there can't be asked
        return None
    return None


def _sentence() -> str:
    with suppress(OSError, ValueError):
        number, count = json.loads((_folder() / STATUS).read_text(encoding="utf-8"))
        return f"{UNDER_WAY}, {number} of {count}"
    return UNDER_WAY


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / LOCK, is_singleton=True)


def _folder() -> Path:
    """Return the local store's folder; for a server, one that the processes here share."""
    return store.folder() or Path(gettempdir())
