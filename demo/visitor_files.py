"""The folder of visitors' pictures: this process's own, bounded, emptied by age and at the end.

Gradio deletes only the files that it has recorded; an upload that broke off isn't among them, and
what a killed process recorded is forgotten. Here all files of the folder are deleted.
"""

import atexit
import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from registry.temporary import TemporaryFolder

logger = logging.getLogger(__name__)

PREFIX = "expression-studio-page-"
LIFETIME_SECONDS = 3600
"""How long a visitor's pictures are kept."""
SWEEP_SECONDS = 300
"""How often what is older is deleted."""
UPLOAD_BYTES = 64 * 2**20
"""Largest upload."""
FOLDER_BYTES = 2**30
"""How much all pictures together may take."""
MEASURED_EVERY_SECONDS = 1.0
"""How often all files are looked at, at most, while there is room: each one takes its time."""


class FolderFull(RuntimeError):
    """The folder of visitors' pictures holds all it may; the message is one sentence."""


class VisitorFolder:
    """A folder of this process, bounded; making one deletes those that killed processes left.

    Args:
        parent: The folder to make it in; the system's temporary folder where it is None.
        max_bytes: How much its files may take together.

    Raises:
        OSError: The folder can't be made.
    """

    def __init__(self, parent: Path | None = None, max_bytes: int = FOLDER_BYTES) -> None:
        self._folder = TemporaryFolder(PREFIX, parent)
        self.path = self._folder.path
        self._max_bytes = max_bytes
        self._expected: dict[object, int] = {}
        self._taken_bytes = 0
        self._measured_at = -math.inf
        self._guard = threading.RLock()
        self._closed = threading.Event()

    def size_bytes(self) -> int:
        """Return how much its files take together."""
        return sum(size for _, size, _ in _files(self.path))

    def holds(self, path: str) -> bool:
        """Return whether an absolute path, as a visitor wrote it, is that of a file in it."""
        try:
            found = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return Path(path).is_absolute() and found.is_file() and found.is_relative_to(self.path)

    def require_room(self, size_bytes: int) -> None:
        """Check that there is room for a file.

        Raises:
            FolderFull: There is too little.
        """
        with self._guard:
            expected = sum(self._expected.values()) + size_bytes
            is_old = time.monotonic() - self._measured_at >= MEASURED_EVERY_SECONDS
            if is_old or self._taken_bytes + expected > self._max_bytes:
                self._taken_bytes, self._measured_at = self.size_bytes(), time.monotonic()
            if self._taken_bytes + expected > self._max_bytes:
                raise FolderFull(
                    f"The page holds {self._max_bytes // 2**20} MiB of pictures already; they are "
                    f"deleted after {LIFETIME_SECONDS // 60} minutes, so try again later."
                )

    def expect(self, upload: object, size_bytes: int) -> None:
        """Reserve room for an upload that begins; `arrived` ends the reservation.

        Raises:
            FolderFull: There is too little room for it.
        """
        with self._guard:
            self.require_room(size_bytes)
            self._expected[upload] = size_bytes

    def arrived(self, upload: object) -> None:
        """End the reservation of an upload, whole or broken off."""
        with self._guard:
            self._taken_bytes += self._expected.pop(upload, 0)

    def remove_older(self, seconds: int | float) -> None:
        """Delete the files that were last written longer ago than this, and empty folders."""
        oldest = time.time() - seconds
        for path, _, written in list(_files(self.path)):
            if written < oldest:
                with suppress(OSError):
                    path.unlink()
                if path.parent != self.path:
                    with suppress(OSError):  # other files are in it
                        path.parent.rmdir()

    def remove_regularly(self) -> None:
        """Delete what is older than LIFETIME_SECONDS from now on, in a thread of its own."""
        threading.Thread(target=self._sweep, name="visitor-files", daemon=True).start()

    def close(self) -> None:
        """Delete the folder; it can't be used any more."""
        self._closed.set()
        self._folder.close()

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            try:
                self.remove_older(LIFETIME_SECONDS)
            except OSError:
                logger.exception("Old pictures were not deleted.")


def visitor_folder() -> VisitorFolder:
    """Return the folder of this process, made at the first call, and let Gradio use it.

    Gradio reads its place from the environment, so that all pages of a process share one. It is
    made where GRADIO_TEMP_DIR says, if that is set at the first call.

    Raises:
        OSError: The folder can't be made.
    """
    folder = _folder_of_process()
    os.environ["GRADIO_TEMP_DIR"] = str(folder.path)
    return folder


@cache
def _folder_of_process() -> VisitorFolder:
    chosen = os.environ.get("GRADIO_TEMP_DIR")
    folder = VisitorFolder(Path(chosen) if chosen else None)
    folder.remove_regularly()
    atexit.register(folder.close)
    return folder


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Yield path, size and time of the last write of each file; they may vanish meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with suppress(OSError):
                found = path.lstat()
                yield path, found.st_size, found.st_mtime
