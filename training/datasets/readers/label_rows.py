"""Rows of a set's label lists: those that can be used, and an account of the rest."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from training.datasets.prepared import PreparedError
from training.datasets.source import Picture
from training.datasets.splits import drawn

SHOWN = 20
"""How many faulty rows of a kind are named; the rest are counted."""
LONGEST = 60
"""Letters of a faulty value that are shown."""
KEPT_BACK = 0.05
"""Share of a published training set that is our validation split."""
UNNAMED = "Who is on a picture isn't known: a person may stand in several splits."


class Row(NamedTuple):
    """A picture that a set lists, with its label in the set's own code."""

    where: str
    """File and line that say so."""
    member: str
    name: str
    label: str
    split: str = "train"
    """The published one."""
    near: tuple[float, float] | None = None
    """Middle of its face; see Picture."""


class RejectedRows:
    """Rows that aren't used: faults are counted and the first ones named, others counted."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self._named: defaultdict[str, list[str]] = defaultdict(list)

    def leave_out(self, why: str) -> None:
        """Count a row that is right but no use, such as one without an emotion."""
        self.counted[f"left out: {why}"] += 1

    def drop(self, why: str, where: str, value: str) -> None:
        """Count a faulty row and keep where it stands and what it says."""
        why = f"dropped, {why}"
        self.counted[why] += 1
        if len(self._named[why]) < SHOWN:
            self._named[why].append(f"{repr(where)[1:-1]} ({_short(value)})")

    @property
    def notes(self) -> list[str]:
        """A sentence for each reason, the most frequent first."""
        return [self._note(why, count) for why, count in self.counted.most_common()]

    def _note(self, why: str, count: int) -> str:
        named = self._named.get(why, [])
        more = [f"and {count - len(named):,} more"] if 0 < len(named) < count else []
        return f"{count:,} {why}{': ' if named else ''}{', '.join(named + more)}."


def filter_rows(
    rows: Iterable[Row],
    codes: Mapping[str, int],
    there: Container[str],
    losses: RejectedRows,
    without: Mapping[str, str] | None = None,
) -> list[tuple[Row, int]]:
    """Return the rows that can be used with their emotions; the others go to `losses`.

    Args:
        rows: all that the set lists, of rows that repeat each other the better ones first.
        codes: label -> index into EMOTIONS.
        there: the members that the source has.
        losses: where to count the rest.
        without: label -> what pictures with it are, which have no emotion.

    Raises:
        PreparedError: not one row can be used.
    """
    rows, without = list(rows), without or {}
    known = codes.keys() | without.keys()
    torn, seen, kept = _contradicting(rows, codes), set[str](), []
    for row in rows:
        fault = _fault(row, known, torn, seen)
        seen.add(row.name)
        if fault:
            losses.drop(*fault)
        elif row.label in without:
            losses.leave_out(without[row.label])
        elif row.member not in there:
            losses.drop("the photo isn't there", row.where, row.member)
        else:
            kept.append((row, codes[row.label]))
    if not kept:
        raise PreparedError(" ".join(["None of the set's rows can be used.", *losses.notes[:1]]))
    return kept


def pictures(labelled: Sequence[tuple[Row, int]]) -> list[Picture]:
    """Return the pictures in their published splits, but for some of train, drawn by name."""
    learned = (row.name for row, _ in labelled if row.split == "train")
    held_back = drawn(learned, validation=KEPT_BACK)
    return [
        Picture(
            member=row.member,
            name=row.name,
            split=held_back.get(row.name, row.split),
            emotion=emotion,
            near=row.near,
        )
        for row, emotion in labelled
    ]


def _fault(
    row: Row, codes: Container[str], torn: Container[str], seen: Container[str]
) -> tuple[str, str, str] | None:
    """Return why a row isn't used, where it stands and the value that is wrong."""
    if row.label not in codes:
        return "no such label", row.where, row.label
    if row.name in torn:
        return "contradicting labels", row.where, row.label
    if row.name in seen:
        return "a repetition", row.where, row.member
    return None


def _contradicting(rows: Iterable[Row], codes: Mapping[str, int]) -> set[str]:
    """Return the names that are listed with labels that mean different things."""
    first: dict[str, int | str] = {}
    said = [(row.name, codes.get(row.label, row.label)) for row in rows]
    return {name for name, meant in said if first.setdefault(name, meant) != meant}


def _short(value: str) -> str:
    """Return a value in quotes, on one line and not too long."""
    return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}...")
