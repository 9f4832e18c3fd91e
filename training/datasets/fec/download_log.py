"""A log of downloads: the status of each address, in a file that survives a killed run."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import FileIO
from pathlib import Path

FLUSHED_EVERY_SECONDS = 2.0


class Status(StrEnum):
    """Result of a download."""

    OK = "ok"
    GONE = "gone"
    """404 or 410, or Flickr's placeholder for a removed photo."""
    REFUSED = "refused"
    """401, 403, or a redirect that isn't followed."""
    NO_PICTURE = "no picture"
    TOO_LARGE = "too large"
    BUSY = "busy"
    """429 or an error of the server, at each try."""
    UNREACHABLE = "unreachable"
    """No connection, no answer in time, or a connection that breaks off."""
    MISSING = "not in the folder"
    """The folder of photos has no such file."""


FINAL = {Status.GONE, Status.REFUSED, Status.NO_PICTURE, Status.TOO_LARGE}
"""These addresses aren't requested again; the others are, in the next run."""
STATUS_NAMES = frozenset(status.value for status in Status)


class DownloadLog:
    """A status and an address on each line; the last line of an address counts."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._flushed = 0.0
        self.statuses = self._read()

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["DownloadLog"]:
        """Open the log at `path`, a new one or that of an earlier run."""
        with path.open("a+b", buffering=0) as file:
            try:
                yield cls(file)
            finally:
                os.fsync(file.fileno())

    def write(self, address: str, status: Status) -> None:
        """Write an address's status; a kill can't lose it, a power cut only the last seconds."""
        if self.statuses.get(address) == status:
            return
        self.statuses[address] = status
        self._file.write(f"{status}\t{address}\n".encode())
        if time.monotonic() > self._flushed + FLUSHED_EVERY_SECONDS:
            os.fsync(self._file.fileno())
            self._flushed = time.monotonic()

    def _read(self) -> dict[str, Status]:
        """Return the statuses by address, and delete a last line that was cut off."""
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        lines = [line.partition("\t") for line in whole.decode("utf-8", "replace").split("\n")]
        return {address: Status(name) for name, _, address in lines if name in STATUS_NAMES}
