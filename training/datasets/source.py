"""What a reader hands to `prepare`: pictures, what is known about them, and their bytes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol, cast, runtime_checkable
from zipfile import BadZipFile, ZipFile, is_zipfile

import pandas as pd

from training.datasets.index import PreparedError


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
        notes: what was taken or dropped and why, a sentence each.
    """

    source: Source
    pictures: list[Picture]
    framing: float | None = None
    fallback: float | None = None
    central: bool = False
    triplets: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)


@runtime_checkable
class Unfetched(Protocol):
    """A set whose pictures lie elsewhere as yet."""

    def fetched(self, dest: Path) -> Reading:
        """Fetch them into the prepared folder `dest`, and return what came."""


@lru_cache(maxsize=4)
def _opened(path: Path) -> ZipFile:
    return ZipFile(path)


@dataclass(frozen=True)
class Files:
    """A zip file or its unpacked folder."""

    path: Path

    @classmethod
    def of(cls, path: Path | None, set_name: str, needs: str) -> "Files":
        """Return the source at `path`.

        Raises:
            PreparedError: nothing is there, it is no zip or folder, or it lacks the member `needs`.
        """
        if path is None:
            raise PreparedError(f"The set {set_name} needs its source: name its zip or folder.")
        if not path.exists():
            raise PreparedError(f"There is no {path}; name the zip or folder of {set_name}.")
        if not (path.is_dir() or is_zipfile(path)):
            raise PreparedError(f"{path} is neither a folder nor a zip; name those of {set_name}.")
        source = cls(path)
        if not source.has(needs):
            raise PreparedError(f"{path} isn't {set_name}: it has no {needs}.")
        return source

    def has(self, member: str) -> bool:
        """Return whether there is such a file."""
        if self.path.is_dir():
            return (self.path / member).is_file()
        return member in _opened(self.path).NameToInfo

    def members(self, folder: str = "") -> Iterator[str]:
        """Yield the files under `folder`, sorted."""
        if self.path.is_dir():
            found = (self.path / folder).rglob("*")
            yield from sorted(f.relative_to(self.path).as_posix() for f in found if f.is_file())
        else:
            names = _opened(self.path).namelist()
            yield from sorted(n for n in names if n.startswith(folder) and not n.endswith("/"))

    def read(self, member: str) -> bytes:
        """Return a member's bytes.

        Raises:
            PreparedError: it can't be read.
        """
        try:
            if self.path.is_dir():
                return (self.path / member).read_bytes()
            return _opened(self.path).read(member)
        except (OSError, KeyError, BadZipFile) as error:
            raise PreparedError(f"{member} can't be read from {self.path}: {error}.") from error

    def open(self, member: str) -> io.BufferedIOBase:
        """Open a member, to be read in parts."""
        if self.path.is_dir():
            return (self.path / member).open("rb")
        return cast("io.BufferedIOBase", _opened(self.path).open(member))

    def table(self, member: str, *, header: bool = True) -> pd.DataFrame:
        """Return a CSV file as text, without guessing types."""
        text = io.BytesIO(self.read(member))
        return pd.read_csv(text, header=0 if header else None, dtype=str, keep_default_na=False)
