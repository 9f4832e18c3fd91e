"""The page that is open on a local store: a file in the store's folder tells the terminal where."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from registry import store
from registry.files import atomic_write

FILE = "page.json"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
OWNER_ONLY = 0o600
SAME_START_SECONDS = 10.0
"""By how much the start of one process may differ: it is computed from the machine's clock."""


@dataclass(frozen=True, kw_only=True)
class OpenPage:
    """An open page, and the process that serves it.

    `started` is when the process was started, in seconds since 1970: process numbers are used
    again. `code` is the version of this package that it runs.
    """

    url: str
    process: int
    started: float
    code: str


def announce(url: str) -> Callable[[], None]:
    """Let the terminal's commands find this process's page until the returned function is called.

    Nothing is written where a server holds the store, or where the folder can't be written.

    Args:
        url: The page's address on this machine.
    """
    file = _file()
    if file is not None:
        with suppress(OSError):
            _write(file, url)

    def withdraw() -> None:
        if file is not None and _is_ours(file):
            with suppress(OSError):
                file.unlink()

    return withdraw


def find() -> str | None:
    """Return the address of the page that this user has open on the store in use, or None.

    A file that a killed page left, or that another user could have written, doesn't count.
    """
    file = _file()
    page = None if file is None else _read(file)
    if page is None or page.code != _code() or urlsplit(page.url).hostname not in LOOPBACK:
        return None
    return page.url if _is_alive(page) else None


def _file() -> Path | None:
    folder = store.folder()
    return folder / FILE if folder else None


def _code() -> str:
    return version("expression-studio")


def _write(file: Path, url: str) -> None:
    process = psutil.Process()
    page = OpenPage(url=url, process=process.pid, started=process.create_time(), code=_code())
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as part:
        part.touch(OWNER_ONLY)
        part.write_text(json.dumps(asdict(page)), encoding="utf-8")


def _read(file: Path) -> OpenPage | None:
    """Return what this user's page wrote; None where there is nothing, or another user wrote it."""
    try:
        info = file.stat()
        if os.name == "posix" and (info.st_uid != os.getuid() or info.st_mode & 0o022):
            return None
        return OpenPage(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_ours(file: Path) -> bool:
    page = _read(file)
    return page is not None and page.process == os.getpid()


def _is_alive(page: OpenPage) -> bool:
    """Return whether the process still runs, and for this user."""
    try:
        process = psutil.Process(page.process)
        same = abs(process.create_time() - page.started) < SAME_START_SECONDS
        return same and bool(process.username() == psutil.Process().username())
    except (psutil.Error, TypeError, ValueError, KeyError):
        return False
