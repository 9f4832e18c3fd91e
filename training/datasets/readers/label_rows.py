"""Rows of a set's label lists: which ones can be used, and why the others can't."""

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from training.datasets.prepared import PreparedError
from training.datasets.readers.published_splits import VALIDATION_SHARE
from training.datasets.source import PictureRecord
from training.datasets.splits import draw_splits

MOST_NAMED = 20
"""Number of faulty rows of a kind that are named; the rest are counted."""
MOST_LETTERS = 60
"""Characters of a faulty value that are shown."""
NAME_LETTERS = 40
"""Characters of a picture's path that go into its name."""
PERSONS_UNKNOWN = "The persons are unknown: one person may be in several splits."


class LabelRow(NamedTuple):
    """A picture that a set lists, with its label in the set's own code."""

    location: str
    """File and line of the row."""
    member: str
    name: str
    label: str
    split: str = "train"
    """As published; empty if the set has no splits."""
    face_centre: tuple[float, float] | None = None
    """See `PictureRecord`."""


class RejectedRows:
    """Counts rows that aren't used, by reason, and names the first faulty ones."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._named: defaultdict[str, list[str]] = defaultdict(list)

    def exclude(self, reason: str) -> None:
        """Count a correct row that can't be used, such as one without an emotion."""
        self.counts[f"left out: {reason}"] += 1

    def reject(self, reason: str, location: str, value: str) -> None:
        """Count a faulty row.

        Args:
            reason: a few words.
            location: file and line, or the file.
            value: the faulty value.
        """
        reason = f"dropped, {reason}"
        self.counts[reason] += 1
        if len(self._named[reason]) < MOST_NAMED:
            self._named[reason].append(f"{repr(location)[1:-1]} ({_shorten(value)})")

    @property
    def notes(self) -> list[str]:
        """A sentence for each reason, the most frequent first."""
        return [self._note(reason, count) for reason, count in self.counts.most_common()]

    def _note(self, reason: str, count: int) -> str:
        named = self._named.get(reason, [])
        more = [f"and {count - len(named):,} more"] if 0 < len(named) < count else []
        return f"{count:,} {reason}{': ' if named else ''}{', '.join(named + more)}."


def filter_rows(
    rows: Iterable[LabelRow],
    label_map: Mapping[str, int],
    members: Container[str],
    rejected: RejectedRows,
    excluded: Mapping[str, str] | None = None,
) -> list[tuple[LabelRow, int]]:
    """Return the rows that can be used, each with its emotion.

    Args:
        rows: all rows of the set; if several have the same name, the first one is used.
        label_map: label -> index into EMOTIONS.
        members: the files of the source.
        rejected: counts the rows that can't be used.
        excluded: label -> why pictures with it have no emotion.

    Raises:
        PreparedError: not one row can be used.
    """
    rows, excluded = list(rows), excluded or {}
    known = label_map.keys() | excluded.keys()
    contradicting = _contradicting_names(rows, label_map)
    names, usable = set[str](), []
    for row in rows:
        fault = _fault(row, known, contradicting, names)
        names.add(row.name)
        if fault:
            rejected.reject(*fault)
        elif row.label in excluded:
            rejected.exclude(excluded[row.label])
        elif row.member not in members:
            rejected.reject("the photo is missing", row.location, row.member)
        else:
            usable.append((row, label_map[row.label]))
    if not usable:
        why = rejected.notes[:1]
        raise PreparedError(
            " ".join(["None of the set's rows can be used; is it the right set?", *why])
        )
    return usable


def picture_records(labelled: Sequence[tuple[LabelRow, int]]) -> list[PictureRecord]:
    """Return the pictures in their published splits; some of train are drawn for validation."""
    train = (row.name for row, _ in labelled if row.split == "train")
    drawn = draw_splits(train, validation=VALIDATION_SHARE)
    return [
        PictureRecord(
            member=row.member,
            name=row.name,
            split=drawn.get(row.name, row.split),
            emotion=emotion,
            face_centre=row.face_centre,
        )
        for row, emotion in labelled
    ]


def picture_name(member: str) -> str:
    """Return a unique name for a picture that can be used for a file."""
    plain = re.sub(r"\W+", "_", member.rpartition(".")[0])[-NAME_LETTERS:].strip("_")
    return f"{plain}_{hashlib.sha256(member.encode()).hexdigest()[:8]}"


def box_centre(left: float, top: float, right: float, bottom: float) -> tuple[float, float] | None:
    """Return the centre of a face's box, x and y; None if the box is empty or not finite."""
    x, y = (left + right) / 2, (top + bottom) / 2
    return (x, y) if math.isfinite(x + y) and left < right and top < bottom else None


def _fault(
    row: LabelRow, labels: Container[str], contradicting: Container[str], names: Container[str]
) -> tuple[str, str, str] | None:
    """Return reason, location and value of a row's fault; None if there is none.

    Args:
        row: the row to check.
        labels: all known labels.
        contradicting: names of rows whose labels contradict each other.
        names: names of the rows before this one.
    """
    if row.label not in labels:
        return "unknown label", row.location, row.label
    if row.name in contradicting:
        return "contradicting labels", row.location, row.label
    if row.name in names:
        return "a duplicate", row.location, row.member
    return None


def _contradicting_names(rows: Iterable[LabelRow], label_map: Mapping[str, int]) -> set[str]:
    """Return the names that are listed with labels that mean different things."""
    first: dict[str, int | str] = {}
    meanings = [(row.name, label_map.get(row.label, row.label)) for row in rows]
    return {name for name, meaning in meanings if first.setdefault(name, meaning) != meaning}


def _shorten(value: str) -> str:
    """Return a value in quotes, on one line and not too long."""
    return repr(value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}...")
