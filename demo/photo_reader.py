"""Photos of visitors with their faces; those that were read last stay in memory for a while."""

import hashlib
import os
import threading
from pathlib import Path

import numpy as np

from demo.predictors import Photo, read_photo_with_faces
from demo.timed_cache import TimedCache
from demo.visitor_files import LIFETIME_SECONDS
from registry.faces import FaceCropper
from registry.photos import PhotoError, check_photo

PREPARED_PX = 320
KEPT_BYTES = 512 * 2**20
"""How much the photos in memory may take together; the least recently used go first. A photo of 100
megapixels takes 286 MiB."""
CROPS_BYTES = 2**18
"""How much the crops of a face take, those of all models and that for the screen."""


class PhotoReader:
    """Reads photos and detects their faces. Threads may share it.

    A photo whose file has the same content as one read before is not decoded again, and its faces
    are neither detected nor cropped again. Photos are kept in memory only, as long as visitors'
    files at most. As many photos are worked on at a time as there are cores.

    Args:
        cropper: Detects and crops faces.
        kept_bytes: How much the photos in memory may take together.
        kept_seconds: How long a photo stays in memory at most.
    """

    def __init__(
        self,
        cropper: FaceCropper | None = None,
        *,
        kept_bytes: int = KEPT_BYTES,
        kept_seconds: int | float = LIFETIME_SECONDS,
    ) -> None:
        self.cropper = cropper or FaceCropper()
        self._photos = TimedCache(kept_bytes, kept_seconds, _size_bytes)
        self._cores = threading.Semaphore(os.cpu_count() or 1)

    def read(self, path: str | Path) -> Photo:
        """Return a photo and its faces; there may be none.

        Raises:
            PhotoError: It is no photo; the message says what to do.
        """
        check_photo(path)
        try:
            digest = _digest(path)
        except OSError as error:  # an hour after its upload it is deleted
            raise PhotoError(f"{Path(path).name} is not there any more; add it again.") from error
        if (known := self._photos.get(digest)) is not None:
            return known
        with self._cores:
            photo = self._photos.get(digest) or read_photo_with_faces(path, self.cropper)
        self._photos.add(digest, photo)
        return photo

    def prepare(self) -> None:
        """Load the detectors in a thread of their own, so that no visitor waits for it."""
        blank = np.zeros((PREPARED_PX, PREPARED_PX, 3), np.uint8)
        threading.Thread(target=self.cropper.faces, args=(blank,), daemon=True).start()

    @property
    def kept_bytes(self) -> int:
        """How much the photos in memory take."""
        return self._photos.kept_bytes


def _size_bytes(photo: Photo) -> int:
    """Return how much a photo takes, with the crops of its faces that are still to come."""
    return photo.pixels.nbytes + CROPS_BYTES * len(photo.faces)


def _digest(path: str | Path) -> bytes:
    """Return what differs between files of different content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
