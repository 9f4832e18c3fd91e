"""What became of every address, in a file that a killed run leaves whole."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import FileIO
from pathlib import Path

FLUSHED_EVERY_SECONDS = 2.0


class Status(StrEnum):
    """What became of an address."""

    OK = "ok"
    GONE = "gone"
    """404 or 410, or Flickr's picture that says so."""
    REFUSED = "refused"
    """401, 403, or a redirect that isn't followed."""
    NO_PICTURE = "no picture"
    TOO_LARGE = "too large"
    BUSY = "busy"
    """429 or an error of the server, time and again."""
    UNREACHABLE = "unreachable"
    """No connection, no answer in time, or one that breaks off."""
    NOT_AT_HAND = "not at hand"


FINAL = {Status.GONE, Status.REFUSED, Status.NO_PICTURE, Status.TOO_LARGE}
"""Not asked for again; the others may be better tomorrow."""
NAMES = frozenset(status.value for status in Status)


class DownloadLog:
    """One line an address, the status before it; the last line about an address counts."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._flushed = 0.0
        self.known = self._read()

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["DownloadLog"]:
        """Give the ledger at `path`, new or of an earlier run."""
        with path.open("a+b", buffering=0) as file:
            try:
                yield cls(file)
            finally:
                os.fsync(file.fileno())

    def write(self, address: str, status: Status) -> None:
        """Note what became of an address; safe from a kill at once, from a power cut in seconds."""
        if self.known.get(address) == status:
            return
        self.known[address] = status
        self._file.write(f"{status}\t{address}\n".encode())
        if time.monotonic() > self._flushed + FLUSHED_EVERY_SECONDS:
            os.fsync(self._file.fileno())
            self._flushed = time.monotonic()

    def _read(self) -> dict[str, Status]:
        """Return what is known, without a last line that was cut off."""
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        lines = [line.partition("\t") for line in whole.decode("utf-8", "replace").split("\n")]
        return {address: Status(said) for said, _, address in lines if said in NAMES}
