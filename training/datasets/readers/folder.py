"""Pictures of your own, sorted by what they show.

Either PERSON/EXPRESSION.jpg and PERSON/EXPRESSION/FILE.jpg, or EXPRESSION/FILE.jpg, where nobody
knows who it is.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import WORDS
from training.datasets.readers.label_rows import UNNAMED, RejectedRows, Row, filter_rows
from training.datasets.source import Picture, Reading
from training.datasets.splits import drawn

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LAYOUTS = "PERSON/EXPRESSION.jpg, PERSON/EXPRESSION/FILE.jpg or EXPRESSION/FILE.jpg"
FEWEST = 10
"""Persons, or pictures of unknown people, below which there is nothing to split."""
LONGEST = 40
"""Letters of a picture's path that its name keeps."""


def read(path: Path | None) -> Reading:
    """Return the pictures of a folder or zip.

    Persons, or pictures where nobody knows who it is, are drawn by their digests: 10 % for
    validation, 10 % for the test, and all for training where there are fewer than ten.

    Raises:
        PreparedError: there are none, their folders fit no layout, or a word is unknown.
    """
    source = Files.of(path, "folder")
    found = list(source.members())
    members = [member for member in found if member.lower().endswith(SUFFIXES)]
    if not members:
        raise PreparedError(f"{path} isn't folder: it has no pictures ({', '.join(SUFFIXES)}).")
    top = _top(members)
    inside = {member: PurePosixPath(member).relative_to(top) for member in members}
    reading = _of_persons(source, inside) if _has_persons(inside) else _of_strangers(source, inside)
    if len(found) > len(members):
        others = f"{len(found) - len(members):,} other files aren't looked at"
        reading.notes.append(f"{others}; pictures end in {', '.join(SUFFIXES)}.")
    if top:
        reading.notes.append(f"The folder {top!r} lies around everything and names nobody.")
    return reading


def _top(members: list[str]) -> str:
    """Return the folders around everything, so that every picture keeps one of its own."""
    parts = [PurePosixPath(member).parts for member in members]
    most = min(map(len, parts)) - 2
    depth = 0
    while depth < most and len({p[depth] for p in parts}) == 1:
        depth += 1
    return "/".join(parts[0][:depth])


def _has_persons(inside: Mapping[str, PurePosixPath]) -> bool:
    """Return whether the outer folders are persons and not expressions.

    Raises:
        PreparedError: they can't be either, or both.
    """
    odd = {layout: [m for m, p in inside.items() if layout(p) not in WORDS] for layout in WAYS}
    fitting = [layout for layout, others in odd.items() if not others]
    if len(fitting) == 1:
        return fitting == [by_person]
    if fitting:
        wrong = next(iter(inside))
        raise PreparedError(
            f"{wrong} may be a person's or an expression's; name the outer folders after people "
            f"or the files after anything but: {', '.join(WORDS)}."
        )
    wrong = min(odd.values(), key=len)[0]
    raise PreparedError(
        f"{wrong} names no expression that is known; sort pictures as {LAYOUTS}, with the words "
        f"{', '.join(WORDS)}."
    )


def by_person(path: PurePosixPath) -> str:
    """Return the word of PERSON/EXPRESSION.jpg and PERSON/EXPRESSION/FILE.jpg; empty for others."""
    word = {2: path.stem, 3: path.parts[1] if len(path.parts) > 1 else ""}
    return word.get(len(path.parts), "").strip().lower()


def by_expression(path: PurePosixPath) -> str:
    """Return the word of EXPRESSION/FILE.jpg; empty for others."""
    return path.parts[0].strip().lower() if len(path.parts) == 2 else ""


WAYS: tuple[Callable[[PurePosixPath], str], ...] = (by_person, by_expression)


def _of_persons(source: Files, inside: Mapping[str, PurePosixPath]) -> Reading:
    """Take each picture once, and none that is two persons' or under two expressions."""
    losses, who = RejectedRows(), {member: path.parts[0] for member, path in inside.items()}
    digests = {member: _digest(source, member) for member in inside}
    shared = _shared(digests, who, losses)
    rows = [
        Row(m, m, digests[m] or m, by_person(path))
        for m, path in inside.items()
        if digests[m] not in shared
    ]
    split, drawing = _split(set(who.values()), "persons")
    pictures = [
        Picture(
            member=row.member,
            name=_name(row.member),
            person=who[row.member],
            split=split.get(who[row.member], "train"),
            emotion=emotion,
            digest=digests[row.member],
        )
        for row, emotion in filter_rows(rows, WORDS, inside, losses)
    ]
    return Reading(source=source, pictures=pictures, notes=[drawing, *losses.notes])


def _shared(
    digests: Mapping[str, str | None], who: Mapping[str, str], losses: RejectedRows
) -> set[str]:
    """Return the digests of pictures that lie in the folders of several persons, which are lost."""
    first: dict[str, str] = {}
    shared = {d for m, d in digests.items() if d and first.setdefault(d, who[m]) != who[m]}
    for member, digest in digests.items():
        if digest in shared:
            losses.drop("the picture of several persons", member, who[member])
    return shared


def _of_strangers(source: Files, inside: Mapping[str, PurePosixPath]) -> Reading:
    """Take each picture once, by its bytes, and none that is sorted under two expressions."""
    digests = {member: _digest(source, member) for member in inside}
    rows = [Row(m, m, digests[m] or m, by_expression(path)) for m, path in inside.items()]
    losses = RejectedRows()
    labelled = filter_rows(rows, WORDS, inside, losses)
    split, drawing = _split({row.name for row, _ in labelled}, "pictures")
    pictures = [
        Picture(
            member=row.member,
            name=_name(row.member),
            split=split.get(row.name, "train"),
            emotion=emotion,
            digest=digests[row.member],
        )
        for row, emotion in labelled
    ]
    return Reading(source=source, pictures=pictures, notes=[drawing, UNNAMED, *losses.notes])


def _digest(source: Files, member: str) -> str | None:
    """Return the sha256 of a picture's bytes; None where they can't be read."""
    try:
        return hashlib.sha256(source.read(member)).hexdigest()
    except PreparedError:
        return None


def _split(keys: set[str], what: str) -> tuple[dict[str, str], str]:
    """Return key -> split of those that aren't for training, and a note about it."""
    if len(keys) < FEWEST:
        return {}, f"{len(keys)} {what} are too few to keep some back: all are for training."
    split = drawn(keys, validation=0.1, test=0.1)
    count = Counter(split.values())
    return split, (
        f"Of {len(keys):,} {what}, {count['validation']:,} are for validation and "
        f"{count['test']:,} for the test, drawn by digest."
    )


def _name(member: str) -> str:
    """Return a name that can be a file's and is no other picture's."""
    plain = re.sub(r"\W+", "_", member.rpartition(".")[0])[-LONGEST:].strip("_")
    return f"{plain}_{hashlib.sha256(member.encode()).hexdigest()[:8]}"
