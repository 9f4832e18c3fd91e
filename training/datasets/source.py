"""What a reader hands to `prepare`: pictures, what is known about them, and their bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a source and what its annotators say about it; None where they don't."""

    member: str
    """Where the source keeps it: a path with forward slashes."""
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
    """Votes in the order of EMOTIONS, then unknown, then no face."""
    angle: float | None = None
    """Degrees by which the head is turned away from the camera."""
    gaze: str | None = None
    near: tuple[float, float] | None = None
    """Where the middle of the face lies, x and y in pixels; the largest face is meant otherwise."""
    digest: str | None = None
    """The sha256 of its bytes, where the reader has looked at them."""


@runtime_checkable
class Source(Protocol):
    """Where pictures come from; travels to other processes."""

    def read(self, member: str) -> bytes:
        """Return a member's bytes."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All that a reader took from its source.

    Args:
        source: gives the bytes of `pictures`.
        pictures: what to cut, in the order of the index.
        framing: the margin of pictures that are already cropped, roll and all; None where a face
            has to be found.
        fallback: the margin to assume where a face had to be found and wasn't; None drops it.
        central: whether the face that is meant is the one in the middle, not the largest.
        triplets: fixed triplets as name_1, name_2, name_3, type, annotator, answer, split; `answer`
            is missing where too few people agree.
        answers: every annotator's own: triplet (its position in `triplets`), annotator, answer.
        points: where the same points of a face lie in a picture, x and y in sides of it, for the
            picture's member; of faces that are rendered.
        notes: what was taken or dropped and why, a sentence each.
    """

    source: Source
    pictures: list[Picture]
    framing: float | None = None
    fallback: float | None = None
    central: bool = False
    triplets: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    points: Callable[[str], Float[np.ndarray, "points 2"]] | None = None
    notes: list[str] = field(default_factory=list)


@runtime_checkable
class Unfetched(Protocol):
    """A set whose pictures lie elsewhere as yet."""

    def fetched(self, dest: Path) -> Reading:
        """Fetch them into the prepared folder `dest`, and return what came."""
