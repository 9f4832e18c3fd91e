"""The faces of a folder that are nearest in expression to one face."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from demo.answers import Box
from demo.face_labels import Labels
from demo.photo_files import PhotoFile
from demo.search.index import FolderIndex
from demo.search.tables import FaceRow

SAME_PERSON_WITHIN = 0.6
"""Identity distance up to which two faces count as the same person's.

Measured for the shipped dln on the London Set, a neutral and a smiling photo of 82 people: 78 of 82
pairs of one person are within it, and 222 (1.7 %) of 13,284 pairs of two people.
"""


class NoIdentity(ValueError):
    """A version gives no identity, so that other people can't come first."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A face near in expression to the one searched for.

    `face` counts from 1, the largest. `copies` are other files with the same content. Distances are
    Euclidean between unit vectors, 0 to 2; that of the identities is None where a version gives
    none. `box` is None where it isn't known; `labels` are those of a prepared set.
    """

    photo: PhotoFile
    copies: tuple[PhotoFile, ...]
    face: int
    box: Box | None
    distance: float
    identity_distance: float | None
    labels: Labels = field(default_factory=dict)

    @property
    def same_person(self) -> bool | None:
        """Whether it may be the same person; None where a version gives no identity."""
        if self.identity_distance is None:
            return None
        return self.identity_distance <= SAME_PERSON_WITHIN

    def to_dict(self) -> dict[str, Any]:
        """Return the match as JSON can hold it."""
        return {
            "file": str(self.photo),
            "copies": [str(photo) for photo in self.copies],
            "face": self.face,
            "box": None if self.box is None else list(self.box),
            "distance": self.distance,
            "identity_distance": self.identity_distance,
            "same_person": self.same_person,
            **self.labels,
        }


def find_matches(
    index: FolderIndex,
    face: Mapping[str, Any],
    *,
    count: int,
    others_first: bool = False,
    itself: tuple[str, int] | None = None,
    filters: Mapping[str, str] | None = None,
) -> list[Match]:
    """Return the faces of a folder nearest in expression to a face, nearest first.

    Args:
        index: The folder's index.
        face: The face searched for, as `Embedding.to_dict` gives it.
        count: How many faces to return.
        others_first: Whether faces that may be the same person's come last.
        itself: Digest and face number to leave out: those of the face searched for.
        filters: Values of labels that the faces must have.

    Raises:
        NoIdentity: Others are to come first, and the version gives no identity.
        IndexFailed: The index can't be read.
    """
    if others_first and face["identity"] is None:
        raise NoIdentity("This version of the dln gives no identity: search without others first.")
    expression = np.array(face["expression"])
    identity = None if face["identity"] is None else np.array(face["identity"])
    apart = SAME_PERSON_WITHIN if others_first else None
    among = index.photos_with(filters) if filters else None
    rows = index.nearest(expression, identity, count + 1, apart, among)
    files = among or index.photos_of({row.digest for row in rows})
    found = [row for row in rows if (row.digest, row.face) != itself and row.digest in files]
    return [_match(index, row, files[row.digest]) for row in found[:count]]


def none_found(filters: Mapping[str, str]) -> str:
    """Return in a sentence that no face was found."""
    if not filters:
        return "No other face is there."
    wanted = ", ".join(f"{name} {value!r}" for name, value in filters.items())
    return f"No other face has {wanted}."


def _match(index: FolderIndex, row: FaceRow, files: Sequence[PhotoFile]) -> Match:
    return Match(
        photo=files[0],
        copies=tuple(files[1:]),
        face=row.face,
        box=row.box,
        distance=row.distance,
        identity_distance=row.identity_distance,
        labels=index.labels.of(files[0]),
    )
