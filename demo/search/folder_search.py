"""The search of one folder for the page: its index is kept up to date by a thread of its own."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo.answers import Provenance
from demo.argument_checks import is_folder_or_zip
from demo.loaded_model import Model
from demo.photo_files import PhotoFile, expand
from demo.predictors import ModelProvider, Photo, TripletComparer, read_photo_with_faces
from demo.search.index import FolderIndex
from demo.search.matches import Match, find_matches
from demo.search.tables import IndexFailed
from registry.catalog import DLN
from registry.errors import RegistryError
from registry.faces import FaceCropper
from registry.photos import PhotoError, read_photo

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often the folder is looked through for new photos, and the dln for a new version."""
RETRY_SECONDS = 2.0
"""How soon it is tried again after a failure, as before a version is in production."""
NOT_YET = "The photos are not computed yet; try again soon."

FAILED = "The folder is not up to date; the log file names the cause."


class NotReady(RegistryError):
    """No photo can be searched yet; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class FoundFaces:
    """The faces found, nearest first, and which version measured the distances."""

    matches: tuple[Match, ...]
    provenance: Provenance


class FolderSearch:
    """Searches one folder, named where the page is started.

    Args:
        folder: A folder or zip of photos.
        server: The version of the dln that answers.
        cropper: Detects faces in the folder's photos.
    """

    def __init__(self, folder: Path, server: ModelProvider, cropper: FaceCropper) -> None:
        self.folder = folder
        self._server, self._cropper = server, cropper
        self._comparer = TripletComparer(server)
        self._index: FolderIndex | None = None
        self._problem: str | None = None
        self._refused: dict[str, int] = {}
        """When photos that can't be used were changed last: they are not tried again before."""
        self._all = self._done = 0
        self._closed = threading.Event()

    def start(self) -> None:
        """Keep the index up to date from now on, in a thread of its own."""
        threading.Thread(target=self._follow, name="folder-search", daemon=True).start()

    def close(self) -> None:
        """Stop after the photo that is computed now; what was computed is kept."""
        self._closed.set()

    def status(self) -> str:
        """Return in a sentence or two what can be searched now, and what can't."""
        if self._index is None:
            return self._problem or NOT_YET
        faces = self._index.count_faces()
        sentences = [f"{faces:,} faces can be searched."]
        if self._done < self._all:
            sentences.append(f"{self._done:,} of {self._all:,} photos are computed so far.")
        if self._refused:
            sentences.append(f"{len(self._refused):,} photos can't be read and are left out.")
        return " ".join([*sentences, *([self._problem] if self._problem else [])])

    def find(self, photo: Photo, face_index: int, *, count: int, others_first: bool) -> FoundFaces:
        """Return the folder's faces nearest in expression to a face of a photo.

        The face itself is left out where the folder has the same picture.

        Raises:
            NotReady: No photo is computed yet with this version.
            NoIdentity: Others are to come first, and the version gives no identity.
            IndexFailed: The index can't be read.
            NoFace: The photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        (face,) = self._comparer.embed(photo, [face_index])
        index = self._index
        version = (face.provenance.version, face.provenance.run_id)
        if index is None or index.version != version:
            raise NotReady(self._problem or NOT_YET)
        found = find_matches(index, face.to_dict(), count=count + 1, others_first=others_first)
        others = [match for match in found if not _is_face_of(match, photo, face_index)]
        return FoundFaces(matches=tuple(others[:count]), provenance=face.provenance)

    def name_of(self, photo: PhotoFile) -> str:
        """Return a photo's name inside the folder."""
        return photo.member or str(photo.path.relative_to(self.folder))

    def _follow(self) -> None:
        while not self._closed.is_set():
            try:
                self._update()
                self._problem, pause = None, LOOK_SECONDS
            except (RegistryError, IndexFailed, PhotoError) as error:
                self._problem, pause = str(error), RETRY_SECONDS
            except Exception:  # the next round may succeed
                logger.exception("The index of %s is not up to date.", self.folder)
                self._problem, pause = (
                    "The folder can't be searched now; see the log.",
                    LOOK_SECONDS,
                )
            self._closed.wait(pause)

    def _update(self) -> None:
        """Compute the photos that are new, and forget those that are gone."""
        model = self._server.model(DLN.name)
        index = self._index_for(model)
        if not is_folder_or_zip(self.folder):  # as where its disk is gone: what is kept stays
            raise PhotoError(f"{self.folder.name} is gone; what was found before can be searched.")
        photos = expand(self.folder)
        left = [photo for photo in index.left(photos) if not self._is_refused(photo)]
        self._all, self._done = len(photos), len(photos) - len(left)
        self._index = index
        with index:
            for photo in left:
                if self._closed.is_set():
                    return
                self._include(index, photo)
                self._done += 1
            index.finish()

    def _index_for(self, model: Model) -> FolderIndex:
        version = (model.version.number, model.version.run_id)
        if self._index is not None and self._index.version == version:
            return self._index
        return FolderIndex(self.folder, version)

    def _is_refused(self, photo: PhotoFile) -> bool:
        return self._refused.get(str(photo)) == photo.modified_ns

    def _include(self, index: FolderIndex, photo: PhotoFile) -> None:
        try:
            index.include(photo, self._embed)
            self._refused.pop(str(photo), None)
        except PhotoError as error:
            logger.warning("%s is not searched: %s", photo, error)
            self._refused[str(photo)] = photo.modified_ns

    def _embed(self, photo: PhotoFile) -> Sequence[dict[str, Any]]:
        read = read_photo_with_faces(photo.read(), self._cropper)
        return [face.to_dict() for face in self._comparer.embed(read)]


def _is_face_of(match: Match, photo: Photo, face_index: int) -> bool:
    """Return whether a match is this face of this photo: all pixels are the same."""
    if match.face != face_index + 1 or match.distance > 0.01:
        return False
    try:
        return np.array_equal(read_photo(match.photo.read()), photo.pixels)
    except PhotoError:
        return False
