"""What a reader returns to `prepare`: records of pictures, and a source of their bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float

from training.datasets.prepared import PreparedError


@dataclass(frozen=True, kw_only=True)
class PictureRecord:
    """A picture of a data set and its annotations; None if unknown."""

    member: str
    """Its key in the source: a path with forward slashes, or another key for `Source.read`."""
    name: str
    """Unique in its set; the crop's file is named after it."""
    split: str
    """train, validation or test."""
    person: str | None = None
    sex: str | None = None
    ethnicity: str | None = None
    age: int | None = None
    emotion: int | None = None
    """Index into EMOTIONS."""
    votes: tuple[int, ...] | None = None
    """Number of votes for each of EMOTIONS, then for unknown, then for no face."""
    angle: float | None = None
    """Degrees by which the head is turned away from the camera."""
    gaze: str | None = None
    face_centre: tuple[float, float] | None = None
    """Centre of the face to crop, x and y in pixels; None for the largest face."""
    digest: str | None = None
    """SHA-256 of its bytes, if the reader has computed it."""


class MemberError(PreparedError):
    """A picture's file that can't be read from its source.

    Args:
        sentence: names the file and says what to do.
        reason: a few words that hold for any file, for the report.
    """

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@runtime_checkable
class Source(Protocol):
    """Reads the bytes of pictures; it is pickled for worker processes."""

    def read(self, member: str) -> bytes:
        """Return a member's bytes.

        Raises:
            MemberError: they can't be read.
        """


@dataclass(frozen=True, kw_only=True)
class RawDataset:
    """A data set as its reader found it, before faces are cropped.

    Args:
        source: reads the bytes of `pictures`.
        pictures: what to crop, in the order of the index.
        cropped_margin: the margin of pictures that are level crops of faces already; None if
            faces have to be found.
        fallback_margin: the margin to assume for a picture in which no face was found; None drops
            such pictures.
        central_face: whether to crop the face nearest to the centre instead of the largest.
        triplets: fixed triplets as name_1, name_2, name_3, type, annotator, answer, split; `answer`
            is missing where too few people agree.
        answers: each annotator's own answers: triplet (its position in `triplets`), annotator,
            answer.
        points: returns the positions of the same points of the face in a member's picture, x and y
            as fractions of its side; for rendered faces.
        notes: what was used or dropped and why, one sentence each.
    """

    source: Source
    pictures: list[PictureRecord]
    cropped_margin: float | None = None
    fallback_margin: float | None = None
    central_face: bool = False
    triplets: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    points: Callable[[str], Float[np.ndarray, "points 2"]] | None = None
    notes: list[str] = field(default_factory=list)


@runtime_checkable
class RemoteDataset(Protocol):
    """A data set whose pictures have to be downloaded or collected first."""

    def fetch(self, dest: Path) -> RawDataset:
        """Fetch the pictures into the prepared folder `dest` and return those that were found."""
