"""RAF-DB, basic emotions: faces from the web, each labelled by 40 people (Li, Deng, Du, 2017)."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from registry.catalog import FERPLUS_MARGIN
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles, PictureFinder
from training.datasets.readers.class_folders import find_class_folders, split_pictures
from training.datasets.readers.csv_tables import (
    TableColumns,
    TableRow,
    numbered_lines,
    read_rows,
    whole_number,
)
from training.datasets.readers.label_maps import RAFDB
from training.datasets.readers.label_rows import (
    PERSONS_UNKNOWN,
    LabelRow,
    RejectedRows,
    box_centre,
    filter_rows,
    picture_records,
)
from training.datasets.source import RawDataset

LIST = "EmoLabel/list_patition_label.txt"
"""Spelled as published."""
NAME = re.compile(r"((train|test)_[0-9]+)\.[A-Za-z0-9]+")
ORIGINAL, ALIGNED = "Image/original/{}.jpg", "Image/aligned/{}_aligned.jpg"
BOX = "Annotation/boundingbox/{}_boundingbox.txt"
"""Left, top, right and bottom of the face that has the label, in the original."""
TABLES = ("train_labels.csv", "test_labels.csv")
"""Beside the class folders of the usual copy, each for the split in its name."""
COLUMNS = TableColumns(needs=("image", "label"), order=("image", "label"))


def read(path: Path | None) -> RawDataset:
    """Return RAF-DB from its folder or a zip of it, as published or as a copy in class folders.

    The published test set is our test split; 5 % of the training set, drawn by name, are our
    validation split. Originals are cut as the demo cuts photos; aligned pictures are used if there
    are fewer originals.

    Raises:
        PreparedError: `path` holds something else.
    """
    whole = DatasetFiles.locate(path, "rafdb")
    is_published = any(member.endswith(LIST) for member in whole.members())
    if not is_published and (copy := read_copy(whole)):
        return copy
    source, base = _open(path)
    rejected, members = RejectedRows(), source.pictures(f"{base}Image/")
    rows = list(parse_list(source.read(base + LIST), rejected))
    finder = PictureFinder(members)
    kind = _choose_kind(rows, base, finder)
    placed = [_with_picture(row, source, base, kind, finder) for row in rows]
    labelled = filter_rows(placed, RAFDB, set(members), rejected)
    return RawDataset(
        source=source,
        pictures=picture_records(labelled),
        fallback_margin=FERPLUS_MARGIN if kind == ALIGNED else None,
        notes=[*_notes(kind, [row for row, _ in labelled]), *rejected.notes],
    )


def parse_list(content: bytes, rejected: RejectedRows) -> Iterator[LabelRow]:
    """Yield the rows of the list; lines unlike `train_00001.jpg 5` go to `rejected`."""
    for number, line in numbered_lines(content):
        location = f"{LIST} line {number}"
        words = re.sub('[",;]', " ", line).split()
        name = NAME.fullmatch(words[0]) if len(words) == 2 else None
        if name:
            yield LabelRow(location, words[0], name[1], whole_number(words[1]), name[2])
        else:
            rejected.reject("not like `train_00001.jpg 5`", location, line.strip())


def _open(path: Path | None) -> tuple[DatasetFiles, str]:
    """Return the source and its folder of basic emotions; compound ones have such a list too."""
    source = DatasetFiles.locate(path, "rafdb", f"basic/{LIST}", LIST)
    return source, "basic/" if source.has(f"basic/{LIST}") else ""


def _choose_kind(rows: list[LabelRow], base: str, finder: PictureFinder) -> str:
    """Return ORIGINAL, or ALIGNED if the source has more of these."""
    has = {
        kind: sum(finder.find(base + kind.format(row.name)) is not None for row in rows)
        for kind in (ORIGINAL, ALIGNED)
    }
    return ORIGINAL if has[ORIGINAL] >= has[ALIGNED] else ALIGNED


def _with_picture(
    row: LabelRow, source: DatasetFiles, base: str, kind: str, finder: PictureFinder
) -> LabelRow:
    """Return the row with its picture of that kind and, in originals, the centre of its face."""
    centre = _face_centre(source, base + BOX.format(row.name)) if kind == ORIGINAL else None
    path = base + kind.format(row.name)
    return row._replace(member=finder.find(path) or path, face_centre=centre)


def _face_centre(source: DatasetFiles, member: str) -> tuple[float, float] | None:
    """Return the centre of the labelled face, from its box file; None if there is no box."""
    if not source.has(member):
        return None
    try:
        left, top, right, bottom = map(float, source.read(member).split())
    except (ValueError, PreparedError):
        return None
    return box_centre(left, top, right, bottom)


def _notes(kind: str, rows: list[LabelRow]) -> list[str]:
    boxless = sum(row.face_centre is None for row in rows)
    return [
        "The published test set is the test split; 5 % of the training set, drawn by name, are "
        "the validation split.",
        PERSONS_UNKNOWN,
        *(
            ["Aligned pictures were taken; if no face was found, they are framed as in FER+."]
            if kind == ALIGNED
            else [
                "Originals were taken; of several faces in a photo, the one in the published box; "
                f"{boxless:,} photos have no box: their largest face is taken."
            ]
        ),
    ]


def read_copy(source: DatasetFiles) -> RawDataset | None:
    """Return the usual copy, `train/1/FILE.jpg` to `test/7/FILE.jpg`; None if it isn't one.

    Where there is train_labels.csv or test_labels.csv, a picture must have the same label there as
    its folder.

    Raises:
        PreparedError: a table can't be read, or not one picture can be used.
    """
    rejected, members = RejectedRows(), source.pictures()
    found = find_class_folders(members, RAFDB, rejected)
    if found is None:
        return None
    rows = [row._replace(name=_short_name(row.member)) for row in found]
    listed = [name for name in TABLES if source.root_of(name) is not None]
    for name in listed:
        rows = list(_checked_by_table(source, name, rows, rejected))
    labelled = filter_rows(rows, RAFDB, set(members), rejected)
    pictures, note = split_pictures(labelled)
    tables = f", checked by {' and '.join(listed)}" if listed else ""
    return RawDataset(
        source=source,
        pictures=pictures,
        fallback_margin=FERPLUS_MARGIN,
        notes=[
            f"Layout: RAF-DB as class folders, 1 to 7{tables}.",
            note,
            PERSONS_UNKNOWN,
            "If no face was found, a picture is framed as in FER+.",
            *rejected.notes,
        ],
    )


def _short_name(member: str) -> str:
    """Return a picture's name as published: train_00001 for `train/5/train_00001_aligned.jpg`."""
    return PurePosixPath(member).stem.removesuffix("_aligned")


def _checked_by_table(
    source: DatasetFiles, name: str, rows: list[LabelRow], rejected: RejectedRows
) -> Iterator[LabelRow]:
    """Yield the rows that a table of one split confirms, and those of other splits.

    Args:
        source: the copy.
        name: one of TABLES.
        rows: of all splits.
        rejected: counts the table's rows without a picture, and pictures without the same label.
    """
    root, split = source.root_of(name), name.partition("_")[0]
    listed: dict[str, TableRow] = {}
    for row in read_rows(name, partial(source.open, f"{root}{name}"), COLUMNS, rejected):
        image = _short_name(row.cells["image"].replace("\\", "/"))
        if listed.setdefault(image, row) is not row:
            rejected.reject("a duplicate", row.location, row.cells["image"])
    for picture in rows:
        if picture.split != split:
            yield picture
        elif fault := _table_fault(picture, listed.get(picture.name)):
            rejected.reject(*fault)
        else:
            yield picture._replace(location=listed[picture.name].location)
    names = {picture.name for picture in rows if picture.split == split}
    for image in listed.keys() - names:
        rejected.reject("the photo is missing", listed[image].location, image)


def _table_fault(picture: LabelRow, row: TableRow | None) -> tuple[str, str, str] | None:
    """Return reason, location and value if a table's row doesn't confirm a picture's folder."""
    if row is None:
        return "not in the table", picture.location, picture.name
    label = whole_number(row.cells["label"])
    if label == picture.label:
        return None
    return "contradicting labels", row.location, f"{label}, in folder {picture.label}"
