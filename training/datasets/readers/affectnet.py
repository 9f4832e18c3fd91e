"""AffectNet: faces of the web with an emotion each (Mollahosseini, Hasani, Mahoor, 2017).

Both published forms are read: the lists of 2017 (training.csv, validation.csv beside
Manually_Annotated_Images) and the numbered folders of 2021 (train_set, val_set).
"""

import csv
import io
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.lib.format import read_array

from registry.catalog import FERPLUS_MARGIN
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import AFFECTNET, AFFECTNET_WITHOUT
from training.datasets.readers.label_rows import UNNAMED, RejectedRows, Row, filter_rows, pictures
from training.datasets.source import Reading

IMAGES = "Manually_Annotated_Images"
LISTS = {"validation.csv": "test", "training.csv": "train"}
"""What the test has comes first: what training repeats of it is dropped."""
BOX = ("face_x", "face_y", "face_width", "face_height")
COLUMNS = ("subDirectory_filePath", "expression", *BOX)
AUTOMATIC = ("Automatically_Annotated", "Automatically_annotated_file_list")
LISTED = re.compile(r"[0-9]+/[0-9A-Za-z_-]+\.[A-Za-z]+")
NUMBERED = {"val_set": "test", "train_set": "train"}
FIRST = "train_set/annotations"
LARGEST_LABEL = 1024
"""Bytes of a label's file; the published ones have less than 200."""


def read(path: Path | None) -> Reading:
    """Return AffectNet from a folder or zip in one of its two forms.

    Its validation set, on which results are published, is our test split; 5 % of its training set,
    drawn by name, are our validation split.

    Raises:
        PreparedError: `path` holds something else, or a list without the published columns.
    """
    source, losses = _opened(path), RejectedRows()
    rows, there = (_numbered if _is_numbered(source) else _listed)(source, losses)
    labelled = filter_rows(rows, AFFECTNET, there, losses, AFFECTNET_WITHOUT)
    return Reading(
        source=source,
        pictures=pictures(labelled),
        fallback=FERPLUS_MARGIN,
        notes=[
            "The published validation set is the test split; 5 % of the training set, drawn by "
            "name, are the validation split.",
            UNNAMED,
            "A picture in which no face was found counts as one face, framed as in FER+.",
            *losses.notes,
            *([] if _is_numbered(source) else [*_boxless(labelled), *_unread(source)]),
        ],
    )


def _opened(path: Path | None) -> Files:
    """Return the source: from the numbered folders on, or whole, as lists may lie anywhere."""
    places = (FIRST, f"Manually_Annotated/{IMAGES}", IMAGES)
    source = Files.of(path, "affectnet", *places)
    return source if _is_numbered(source) else Files(source.path)


def _is_numbered(source: Files) -> bool:
    return source.top_of(FIRST) == ""


def _listed(source: Files, losses: RejectedRows) -> tuple[list[Row], set[str]]:
    images = f"{source.top_of(IMAGES)}{IMAGES}/"
    rows = [row for name in LISTS for row in list_rows(source, name, images, losses)]
    return rows, set(source.members(images))


def list_rows(source: Files, name: str, images: str, losses: RejectedRows) -> Iterator[Row]:
    """Yield the rows of the list `name`, wherever it lies; those off the pattern go to `losses`.

    Raises:
        PreparedError: it isn't there, or isn't such a list.
    """
    table = csv.reader(_text(source, name))
    try:
        header = next(table, [])
        places = _places(header, name)
        for cells in table:
            where = f"{name} line {table.line_num}"
            if len(cells) != len(header):
                losses.drop(f"not {len(header)} values", where, ",".join(cells))
                continue
            file, label, *box = (cells[i].strip() for i in places)
            if LISTED.fullmatch(file):
                crop = file.rpartition(".")[0].replace("/", "_")
                yield Row(where, images + file, crop, label, LISTS[name], _middle(box))
            else:
                losses.drop("no picture's name", where, file)
    except csv.Error as error:
        raise PreparedError(f"{name} line {table.line_num} is no CSV: {error}.") from error


def _text(source: Files, name: str) -> io.TextIOWrapper:
    top = source.top_of(name)
    if top is None:
        raise PreparedError(f"{source.path} isn't affectnet: it has no {name}.")
    content = io.BytesIO(source.read(top + name))
    return io.TextIOWrapper(content, "utf-8-sig", errors="replace", newline="")


def _places(header: list[str], name: str) -> list[int]:
    """Return where the columns stand that are read."""
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise PreparedError(
            f"{name} has no column {', '.join(missing)}; take AffectNet's own list, whose first "
            "line names its columns."
        )
    return [header.index(column) for column in COLUMNS]


def _middle(box: list[str]) -> tuple[float, float] | None:
    """Return the middle of left, top, width and height; None where they are no box."""
    try:
        left, top, width, height = map(float, box)
    except ValueError:
        return None
    x, y = left + width / 2, top + height / 2
    return (x, y) if math.isfinite(x + y) and min(width, height) > 0 else None


def _boxless(labelled: list[tuple[Row, int]]) -> list[str]:
    count = sum(row.near is None for row, _ in labelled)
    return [f"{count:,} faces have no box: the largest in the picture is taken."] if count else []


def _unread(source: Files) -> list[str]:
    if all(source.top_of(folder) is None for folder in AUTOMATIC):
        return []
    return ["What was annotated automatically isn't read: nobody looked at it."]


def _numbered(source: Files, losses: RejectedRows) -> tuple[list[Row], set[str]]:
    there = {m for folder in NUMBERED for m in source.members(f"{folder}/images/")}
    rows = [row for folder in NUMBERED for row in numbered_rows(source, folder, there, losses)]
    return rows, there


def numbered_rows(
    source: Files, folder: str, there: set[str], losses: RejectedRows
) -> Iterator[Row]:
    """Yield the pictures that `folder` has labels for; pictures without one go to `losses`.

    Raises:
        PreparedError: it has none.
    """
    ends = "_exp.npy"
    labels = [m for m in source.members(f"{folder}/annotations/") if m.endswith(ends)]
    if not labels:
        raise PreparedError(f"{source.path} isn't affectnet: it has no {folder}/annotations.")
    labelled = {PurePosixPath(member).name.removesuffix(ends) for member in labels}
    for member in sorted(m for m in there if m.startswith(f"{folder}/")):
        if PurePosixPath(member).stem not in labelled:
            losses.drop("no label", member, PurePosixPath(member).stem)
    for member in labels:
        number = PurePosixPath(member).name.removesuffix(ends)
        picture, label = f"{folder}/images/{number}.jpg", _label(source, member)
        yield Row(member, picture, f"{folder}_{number}", label, NUMBERED[folder])


def _label(source: Files, member: str) -> str:
    try:
        return label_of(source.read(member))
    except PreparedError:
        return "unreadable"


@lru_cache(maxsize=256)
def label_of(content: bytes) -> str:
    """Return the one value of an npy file, a whole number or its text; a few words otherwise."""
    if len(content) > LARGEST_LABEL:
        return "no label's file"
    try:
        value: np.ndarray = read_array(io.BytesIO(content), allow_pickle=False)  # type: ignore[no-untyped-call]
    except Exception:  # NumPy's reader of broken files raises whatever comes
        return "no array"
    return str(value.item()) if value.size == 1 and value.dtype.kind in "iuU" else "no single value"
