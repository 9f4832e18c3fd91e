"""What the page can search: kept up to date by a thread of its own."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.answers import Embedding, Provenance
from demo.photo_files import PhotoFile
from demo.predictors import ModelProvider, Photo, TripletComparer
from demo.search.face_rows import BadTable
from demo.search.index import place as index_place
from demo.search.matches import Match
from demo.search.tables import IndexFailed
from registry.errors import RegistryError
from registry.photos import PhotoError, read_photo

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often it is looked for new faces, and for a new version of the dln."""
RETRY_SECONDS = 2.0
"""How soon it is tried again after a failure, as before a version is in production."""
NOT_YET = "The photos are not computed yet; try again soon."
FAILED = "It can't be searched now; see the log."


class NotReady(RegistryError):
    """No photo can be searched yet; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class FoundFaces:
    """The faces found, nearest first, and which version measured the distances."""

    matches: tuple[Match, ...]
    provenance: Provenance


class BackgroundSearch(ABC):
    """Searches the faces of one place, named where the page is started.

    Args:
        place: A folder, a zip or a table.
        server: The version of the dln that answers.
    """

    knows_people: bool
    """Whether faces of the same person can come last."""

    def __init__(self, place: Path, server: ModelProvider) -> None:
        self.place = place
        self.problem: str | None = None
        self.server = server
        self.closed = threading.Event()
        self._comparer = TripletComparer(server)

    def start(self) -> None:
        """Keep the index up to date from now on, in a thread of its own."""
        threading.Thread(target=self._follow, name="search", daemon=True).start()

    def close(self) -> None:
        """Stop after what is computed now; what was computed is kept."""
        self.closed.set()

    @abstractmethod
    def status(self) -> str:
        """Return in a sentence or two what can be searched now, and what can't."""

    @abstractmethod
    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return the labels by which faces can be chosen, and their values."""

    @abstractmethod
    def name_of(self, photo: PhotoFile) -> str:
        """Return a photo's name as visitors see it."""

    @abstractmethod
    def update(self) -> None:
        """Add the faces that are new, and forget those that are gone."""

    @abstractmethod
    def matches(
        self, face: Embedding, count: int, *, others_first: bool, filters: Mapping[str, str]
    ) -> list[Match]:
        """Return the faces nearest in expression; see `find`."""

    def find(
        self,
        photo: Photo,
        face_index: int,
        *,
        count: int,
        others_first: bool = False,
        filters: Mapping[str, str] | None = None,
    ) -> FoundFaces:
        """Return the faces nearest in expression to a face of a photo.

        The face itself is left out where the same picture is there.

        Args:
            photo: A photo.
            face_index: Which of its faces, from 0.
            count: How many faces to return.
            others_first: Whether faces that may be the same person's come last.
            filters: Values of labels that the faces must have.

        Raises:
            NotReady: No photo is computed yet with this version.
            NoIdentity: Others are to come first, and the version gives no identity.
            BadTable: The faces have no such label.
            IndexFailed: The index can't be read.
            NoFace: The photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        (face,) = self._comparer.embed(photo, [face_index])
        found = self.matches(face, count + 1, others_first=others_first, filters=filters or {})
        others = [match for match in found if not _is_face_of(match, photo, face_index)]
        return FoundFaces(matches=tuple(others[:count]), provenance=face.provenance)

    def sentence(self, error: Exception) -> str:
        """Return an error's message for visitors: without the paths of this machine's folders."""
        kept = str(index_place(self.place))
        return str(error).replace(kept, "the index").replace(str(self.place), self.place.name)

    def _follow(self) -> None:
        while not self.closed.is_set():
            try:
                self.update()
                self.problem, pause = None, LOOK_SECONDS
            except (RegistryError, IndexFailed, PhotoError, BadTable) as error:
                self.problem, pause = self.sentence(error), RETRY_SECONDS
            except Exception:  # the next round may succeed
                logger.exception("The index of %s is not up to date.", self.place)
                self.problem, pause = FAILED, LOOK_SECONDS
            self.closed.wait(pause)


def _is_face_of(match: Match, photo: Photo, face_index: int) -> bool:
    """Return whether a match is this face of this photo: all pixels are the same."""
    if match.face != face_index + 1 or match.distance > 0.01:
        return False
    try:
        return np.array_equal(read_photo(match.photo.read()), photo.pixels)
    except PhotoError:
        return False
