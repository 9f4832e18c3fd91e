"""The one face of a clip that is followed from frame to frame."""

import logging
from collections.abc import Sequence

import numpy as np

from demo.answers import Box
from demo.predictors import Photo, TripletComparer
from demo.search.matches import SAME_PERSON_WITHIN
from demo.video.tracking import FARTHEST, box_distance
from registry.errors import RegistryError

logger = logging.getLogger(__name__)


class FollowedFace:
    """Finds in each frame the face that was the largest in the first frame with one.

    It is the nearest to where the face was. Where several are near, or none is, the dln's identity
    decides: the most alike one, and where none is near only one that may be the same person.

    Args:
        comparer: Gives the identities; without a version of the dln the nearest face counts.
    """

    def __init__(self, comparer: TripletComparer) -> None:
        self._comparer = comparer
        self._box: Box | None = None
        self._identity: np.ndarray | None = None

    def index(self, photo: Photo) -> int | None:
        """Return the index of the face in the next frame, or None where it isn't there."""
        if not photo.faces:
            return None
        found = self._first(photo) if self._box is None else self._next(photo, self._box)
        if found is not None:
            self._box = photo.faces[found].box
        return found

    def _first(self, photo: Photo) -> int:
        self._identity = self._identities(photo, [0])[0]
        return 0

    def _next(self, photo: Photo, last: Box) -> int | None:
        distances = [box_distance(face.box, last) for face in photo.faces]
        near = [index for index, distance in enumerate(distances) if distance <= FARTHEST]
        if len(near) == 1:
            return near[0]
        candidates = near or list(range(len(photo.faces)))
        identities = self._identities(photo, candidates)
        if self._identity is None or any(each is None for each in identities):
            return min(near, key=distances.__getitem__, default=None)
        apart = [float(np.linalg.norm(each - self._identity)) for each in identities]
        best = int(np.argmin(apart))
        return candidates[best] if near or apart[best] <= SAME_PERSON_WITHIN else None

    def _identities(self, photo: Photo, faces: Sequence[int]) -> list[np.ndarray | None]:
        try:
            return [each.identity for each in self._comparer.embed(photo, faces)]
        except RegistryError as error:
            logger.info("Faces are followed by their place alone: %s", error)
            return [None] * len(faces)
