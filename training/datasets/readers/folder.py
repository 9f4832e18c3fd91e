"""Pictures of your own, in folders named after persons and expressions.

Either PERSON/EXPRESSION.jpg and PERSON/EXPRESSION/FILE.jpg, or EXPRESSION/FILE.jpg where the
persons are unknown; in folders of splits or not. Names such as KDEF's are recognised.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from registry.photos import PHOTO_SUFFIXES
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.class_folders import common_folder
from training.datasets.readers.label_maps import WORDS
from training.datasets.readers.label_rows import (
    PERSONS_UNKNOWN,
    LabelRow,
    RejectedRows,
    filter_rows,
    picture_name,
)
from training.datasets.readers.name_codes import read_named, recognise
from training.datasets.readers.published_splits import final_splits, outer_splits
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.splits import draw_splits

SUFFIXES = sorted(PHOTO_SUFFIXES)
LAYOUTS = (
    "PERSON/EXPRESSION.jpg, PERSON/EXPRESSION/FILE.jpg or EXPRESSION/FILE.jpg, alone or in folders "
    "train, val and test"
)
FEWEST_TO_SPLIT = 10
"""With fewer persons, or pictures of unknown persons, all are for training."""


def read(path: Path | None) -> RawDataset:
    """Return the pictures of a folder or zip.

    Outer folders that are splits, such as train and test, are kept as splits. Otherwise persons, or
    pictures of unknown persons, are drawn by their digests: 10 % for validation, 10 % for the test,
    and all for training if there are fewer than ten. Names of known forms (`name_codes`) say the
    person.

    Raises:
        PreparedError: there are none, their folders fit no layout, or a word is unknown.
    """
    source = DatasetFiles.locate(path, "folder")
    members = source.pictures()
    if not members:
        raise PreparedError(
            f"{path} isn't folder: it has no pictures ({', '.join(SUFFIXES)}); "
            "name the folder or zip that has them."
        )
    root = common_folder(members)
    dataset = _read_layout(source, {m: PurePosixPath(m).relative_to(root) for m in members})
    others = sum(1 for _ in source.members()) - len(members)
    if others:
        dataset.notes.append(
            f"{others:,} other files are ignored; pictures end in {', '.join(SUFFIXES)}."
        )
    if root:
        dataset.notes.append(f"The folder {root!r} contains everything, so it names nobody.")
    return dataset


def _read_layout(source: DatasetFiles, inside: Mapping[str, PurePosixPath]) -> RawDataset:
    """Return the pictures by the layout that their paths have.

    Args:
        source: the pictures' files.
        inside: member -> its path below the folders around all.
    """
    if published := outer_splits(inside):
        return _read_splits(source, inside, published)
    if codes := recognise(list(inside)):
        return read_named(source, list(inside), codes)
    read_pictures = _read_persons if _has_persons(inside) else _read_expressions
    return read_pictures(source, inside)


def _read_splits(
    source: DatasetFiles, inside: Mapping[str, PurePosixPath], published: Mapping[str, str]
) -> RawDataset:
    """Read all pictures in their published splits, as `SPLIT/EXPRESSION/FILE` or with persons.

    Of a picture in several splits, `prepare` keeps the one in the last of them.
    """
    parts = {member: "/".join(path.parts[1:]) for member, path in inside.items()}
    root = common_folder(list(parts.values()))
    below = {member: PurePosixPath(path).relative_to(root) for member, path in parts.items()}
    has_persons = _has_persons(below)
    word = word_below_person if has_persons else word_of_folder
    persons = {m: path.parts[0] if has_persons else None for m, path in below.items()}
    _check_persons(persons, published)
    rejected = RejectedRows()
    rows = [LabelRow(m, m, m, word(path), published[m]) for m, path in below.items()]
    labelled = filter_rows(rows, WORDS, inside, rejected)
    splits, note = final_splits({persons[row.member] or row.name: row.split for row, _ in labelled})
    pictures = [
        PictureRecord(
            member=row.member,
            name=picture_name(row.member),
            person=persons[row.member],
            split=splits[persons[row.member] or row.name],
            emotion=emotion,
        )
        for row, emotion in labelled
    ]
    layout = f"Layout: SPLIT/{'PERSON/EXPRESSION' if has_persons else 'EXPRESSION/FILE'}."
    unknown = [] if has_persons else [PERSONS_UNKNOWN]
    return RawDataset(
        source=source, pictures=pictures, notes=[layout, note, *unknown, *rejected.notes]
    )


def _check_persons(persons: Mapping[str, str | None], published: Mapping[str, str]) -> None:
    """Refuse persons in several splits, before any picture is read."""
    first: dict[str, str] = {}
    shared = {
        person
        for member, person in persons.items()
        if person and first.setdefault(person, published[member]) != published[member]
    }
    if shared:
        raise PreparedError(
            f"{len(shared)} persons are in several splits ({', '.join(sorted(shared)[:3])}); give "
            "each a single split, or sort the pictures without splits."
        )


def _has_persons(inside: Mapping[str, PurePosixPath]) -> bool:
    """Return whether the outer folders are persons and not expressions.

    Raises:
        PreparedError: the pictures fit no layout, or both.
    """
    unknown = {
        layout: [m for m, p in inside.items() if layout(p) not in WORDS]
        for layout in (word_below_person, word_of_folder)
    }
    fitting = [layout for layout, others in unknown.items() if not others]
    if len(fitting) == 1:
        return fitting == [word_below_person]
    if fitting:
        wrong = next(iter(inside))
        raise PreparedError(
            f"The outer folder of {wrong} may be a person or an expression; name outer folders "
            f"after people, or name no file by one of these words: {', '.join(WORDS)}."
        )
    wrong = min(unknown.values(), key=len)[0]
    raise PreparedError(
        f"{wrong} names no known expression; sort pictures as {LAYOUTS}, with the words "
        f"{', '.join(WORDS)}."
    )


def word_below_person(path: PurePosixPath) -> str:
    """Return the word of PERSON/EXPRESSION.jpg and PERSON/EXPRESSION/FILE.jpg; empty for others."""
    word = {2: path.stem, 3: path.parts[1] if len(path.parts) > 1 else ""}
    return word.get(len(path.parts), "").strip().lower()


def word_of_folder(path: PurePosixPath) -> str:
    """Return the word of EXPRESSION/FILE.jpg; empty for others."""
    return path.parts[0].strip().lower() if len(path.parts) == 2 else ""


def _read_persons(source: DatasetFiles, inside: Mapping[str, PurePosixPath]) -> RawDataset:
    """Read each picture once, without those of two persons or with two expressions."""
    rejected, person = RejectedRows(), {member: path.parts[0] for member, path in inside.items()}
    digests = {member: _digest(source, member) for member in inside}
    shared = _shared_by_persons(digests, person, rejected)
    rows = [
        LabelRow(m, m, digests[m] or m, word_below_person(path))
        for m, path in inside.items()
        if digests[m] not in shared
    ]
    split, note = _draw(set(person.values()), "persons")
    pictures = [
        PictureRecord(
            member=row.member,
            name=picture_name(row.member),
            person=person[row.member],
            split=split.get(person[row.member], "train"),
            emotion=emotion,
            digest=digests[row.member],
        )
        for row, emotion in filter_rows(rows, WORDS, inside, rejected)
    ]
    layout = "Layout: PERSON/EXPRESSION."
    return RawDataset(source=source, pictures=pictures, notes=[layout, note, *rejected.notes])


def _shared_by_persons(
    digests: Mapping[str, str | None], person: Mapping[str, str], rejected: RejectedRows
) -> set[str]:
    """Return the digests of pictures in the folders of several persons; `rejected` counts them."""
    first: dict[str, str] = {}
    shared = {d for m, d in digests.items() if d and first.setdefault(d, person[m]) != person[m]}
    for member, digest in digests.items():
        if digest in shared:
            rejected.reject("in folders of several persons", member, person[member])
    return shared


def _read_expressions(source: DatasetFiles, inside: Mapping[str, PurePosixPath]) -> RawDataset:
    """Read each picture once, by its bytes, without those with two expressions."""
    digests = {member: _digest(source, member) for member in inside}
    rows = [LabelRow(m, m, digests[m] or m, word_of_folder(path)) for m, path in inside.items()]
    rejected = RejectedRows()
    labelled = filter_rows(rows, WORDS, inside, rejected)
    split, note = _draw({row.name for row, _ in labelled}, "pictures")
    pictures = [
        PictureRecord(
            member=row.member,
            name=picture_name(row.member),
            split=split.get(row.name, "train"),
            emotion=emotion,
            digest=digests[row.member],
        )
        for row, emotion in labelled
    ]
    layout = "Layout: EXPRESSION/FILE."
    return RawDataset(
        source=source,
        pictures=pictures,
        notes=[layout, note, PERSONS_UNKNOWN, *rejected.notes],
    )


def _digest(source: DatasetFiles, member: str) -> str | None:
    """Return the sha256 of a picture's bytes; None if they can't be read."""
    try:
        return source.digest(member)
    except PreparedError:
        return None


def _draw(keys: set[str], what: str) -> tuple[dict[str, str], str]:
    """Return key -> validation or test of those that aren't for training, and a note about it."""
    if len(keys) < FEWEST_TO_SPLIT:
        return {}, f"{len(keys)} {what} are too few to split: all are for training."
    split = draw_splits(keys, validation=0.1, test=0.1)
    count = Counter(split.values())
    return split, (
        f"Of {len(keys):,} {what}, {count['validation']:,} are for validation and "
        f"{count['test']:,} for the test, drawn by digest."
    )
