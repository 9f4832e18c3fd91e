"""Where warnings and failures are written with their tracebacks: one log file a program."""

import logging
import os
import sys
import tempfile
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from registry import store
from registry.addresses import without_userinfo

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LARGEST_BYTES = 5_000_000
OLDER_FILES = 2
"""Number of older log files of a program that are kept with the newest."""


def folder() -> Path:
    """Return the folder of log files: `logs` of the local store, or of the temporary folder."""
    local = store.folder()
    return local / "logs" if local else Path(tempfile.gettempdir()) / "expression-studio-logs"


class AddressFormatter(logging.Formatter):
    """Leaves out the user names and passwords in addresses, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with its traceback."""
        return without_userinfo(super().format(record))


class SilentFileHandler(RotatingFileHandler):
    """Writes to a file; a message that can't be written, as on a full disk, is dropped.

    The file and its folder are made at the first message.
    """

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing, where logging prints a traceback by default."""


def log_to_file(program: str) -> Path:
    """Write warnings and errors of all loggers to a file, and return its path.

    The file is made at the first message. Where it can't be written, nothing is logged and the
    program goes on. Python's `warnings` go there too, unless Python was started with -W.

    Args:
        program: names the file, such as `app` or `training`.
    """
    path = folder() / f"{program}.log"
    root = logging.getLogger()
    if any(handler.name == str(path) for handler in root.handlers):
        return path
    handler = _handler(path)
    handler.name = str(path)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(AddressFormatter(FORMAT))
    root.addHandler(handler)
    logging.captureWarnings(not sys.warnoptions)
    return path


def can_write(path: Path) -> bool:
    """Return whether a log file can be written, and its folder made where there is none."""
    try:
        place = next(each for each in (path, *path.parents) if each.exists())
        fits = place.is_file() if place == path else place.is_dir()
        return fits and os.access(place, os.W_OK)
    except OSError:
        return False


def traceback_note(path: Path) -> str:
    """Return the sentence that names a log file; empty if nothing could be written to it."""
    with suppress(OSError):
        if path.stat().st_size:
            return f"The traceback is in {path}."
    return ""


def _handler(path: Path) -> logging.Handler:
    """Return a handler that writes to a file, or drops everything if the file can't be written."""
    if not can_write(path):
        return logging.NullHandler()
    return SilentFileHandler(
        path, maxBytes=LARGEST_BYTES, backupCount=OLDER_FILES, encoding="utf-8", delay=True
    )
