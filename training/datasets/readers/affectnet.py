"""AffectNet: faces from the web with an emotion each (Mollahosseini, Hasani, Mahoor, 2017).

Both published forms are read: the lists of 2017 (training.csv, validation.csv beside
Manually_Annotated_Images) and the numbered folders of 2021 (train_set, val_set); copies in class
folders or with labels.csv are read in `affectnet_copies`.
"""

import io
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.lib.format import read_array

from registry.catalog import FERPLUS_MARGIN
from training.datasets.prepared import PreparedError
from training.datasets.readers.affectnet_copies import read_copy
from training.datasets.readers.archives import DatasetFiles, PictureFinder
from training.datasets.readers.csv_tables import TableColumns, read_rows, whole_number
from training.datasets.readers.label_maps import AFFECTNET, AFFECTNET_EXCLUDED
from training.datasets.readers.label_rows import (
    PERSONS_UNKNOWN,
    LabelRow,
    RejectedRows,
    box_centre,
    filter_rows,
    picture_records,
)
from training.datasets.source import RawDataset

IMAGES = "Manually_Annotated_Images"
LISTS = {"validation.csv": "test", "training.csv": "train"}
"""The test comes first: test pictures that training repeats are dropped from training."""
BOX_COLUMNS = ("face_x", "face_y", "face_width", "face_height")
LIST_ORDER = (
    *("subDirectory_filePath", *BOX_COLUMNS, "facial_landmarks", "expression"),
    *("valence", "arousal"),
)
COLUMNS = TableColumns(
    needs=("subDirectory_filePath", "expression", *BOX_COLUMNS), order=LIST_ORDER
)
AUTOMATIC = ("Automatically_Annotated", "Automatically_annotated_file_list")
LISTED_PATH = re.compile(r"[0-9]+/[0-9A-Za-z_-]+\.[A-Za-z]+")
NUMBERED_FOLDERS = {"val_set": "test", "train_set": "train"}
LABEL_FOLDER = "train_set/annotations"
PLACES = (LABEL_FOLDER, f"Manually_Annotated/{IMAGES}", IMAGES)
"""Folders of the published forms."""
FRAMING = "A picture in which no face was found counts as one face, framed as in FER+."
LARGEST_LABEL_BYTES = 1024
"""Largest size of a label file; the published ones have less than 200 bytes."""


def read(path: Path | None) -> RawDataset:
    """Return AffectNet from a folder or zip in one of its two forms, or a copy of it.

    Its validation set, on which results are published, is our test split; 5 % of its training set,
    drawn by name, are our validation split.

    Raises:
        PreparedError: `path` holds something else, or a list without the published columns.
    """
    whole, rejected = DatasetFiles.locate(path, "affectnet"), RejectedRows()
    if all(whole.root_of(place) is None for place in PLACES):
        copy = read_copy(whole, rejected)
        if copy:
            pictures, notes = copy
            return RawDataset(
                source=whole,
                pictures=pictures,
                fallback_margin=FERPLUS_MARGIN,
                notes=[*notes, FRAMING, *rejected.notes],
            )
    source = _open(path)
    read_rows = _read_numbered if _is_numbered(source) else _read_lists
    rows, members = read_rows(source, rejected)
    labelled = filter_rows(rows, AFFECTNET, members, rejected, AFFECTNET_EXCLUDED)
    return RawDataset(
        source=source,
        pictures=picture_records(labelled),
        fallback_margin=FERPLUS_MARGIN,
        notes=[
            "The published validation set is the test split; 5 % of the training set, drawn by "
            "name, are the validation split.",
            PERSONS_UNKNOWN,
            FRAMING,
            *rejected.notes,
            *([] if _is_numbered(source) else _notes_on_lists(source, labelled)),
        ],
    )


def _open(path: Path | None) -> DatasetFiles:
    """Return the source, rooted at the numbered folders if it has them; lists may be anywhere."""
    source = DatasetFiles.locate(path, "affectnet", *PLACES)
    return source if _is_numbered(source) else DatasetFiles(source.path)


def _is_numbered(source: DatasetFiles) -> bool:
    return source.root_of(LABEL_FOLDER) == ""


def _read_lists(source: DatasetFiles, rejected: RejectedRows) -> tuple[list[LabelRow], set[str]]:
    images = f"{source.root_of(IMAGES)}{IMAGES}/"
    rows = [row for name in LISTS for row in read_list(source, name, images, rejected)]
    return rows, set(source.members(images))


def read_list(
    source: DatasetFiles, name: str, images: str, rejected: RejectedRows
) -> Iterator[LabelRow]:
    """Yield the rows of the list `name`, in any folder; malformed ones go to `rejected`.

    Raises:
        PreparedError: there is no such list, or it lacks columns.
    """
    root = source.root_of(name)
    if root is None:
        raise PreparedError(
            f"{source.path} isn't affectnet: it has no {name}; name the folder or zip that has it."
        )
    finder = PictureFinder(source.pictures(images))
    for location, cells in read_rows(name, partial(source.open, root + name), COLUMNS, rejected):
        file, label, *box = (cells[column] for column in COLUMNS.needs)
        file = file.replace("\\", "/")
        if LISTED_PATH.fullmatch(file):
            crop = file.rpartition(".")[0].replace("/", "_")
            member = finder.find(images + file) or images + file
            split, centre = LISTS[name], _centre(box)
            yield LabelRow(location, member, crop, whole_number(label), split, centre)
        else:
            rejected.reject("not a picture's path", location, file)


def _centre(box: list[str]) -> tuple[float, float] | None:
    """Return the centre of left, top, width and height; None if they aren't a box."""
    try:
        left, top, width, height = map(float, box)
    except ValueError:
        return None
    return box_centre(left, top, left + width, top + height)


def _notes_on_lists(source: DatasetFiles, labelled: list[tuple[LabelRow, int]]) -> Iterator[str]:
    """Yield notes on faces without a box, and on annotations that aren't read."""
    count = sum(row.face_centre is None for row, _ in labelled)
    if count:
        yield f"{count:,} faces have no box: the largest in the picture is taken."
    if any(source.root_of(folder) is not None for folder in AUTOMATIC):
        yield "Automatic annotations aren't read: no person checked them."


def _read_numbered(source: DatasetFiles, rejected: RejectedRows) -> tuple[list[LabelRow], set[str]]:
    members = {m for folder in NUMBERED_FOLDERS for m in source.pictures(f"{folder}/images/")}
    rows = [
        row for folder in NUMBERED_FOLDERS for row in read_labels(source, folder, members, rejected)
    ]
    return rows, members


def read_labels(
    source: DatasetFiles, folder: str, members: set[str], rejected: RejectedRows
) -> Iterator[LabelRow]:
    """Yield a row for each label in `folder`; pictures without a label go to `rejected`.

    Args:
        source: the set.
        folder: train_set or val_set.
        members: pictures of both.
        rejected: counts pictures without a label.

    Raises:
        PreparedError: the folder has no labels.
    """
    ends = "_exp.npy"
    labels = [m for m in source.members(f"{folder}/annotations/") if m.endswith(ends)]
    if not labels:
        raise PreparedError(
            f"{source.path} isn't affectnet: it has no {folder}/annotations; "
            "name the folder or zip that has it."
        )
    labelled = {PurePosixPath(member).name.removesuffix(ends) for member in labels}
    finder = PictureFinder(sorted(members))
    for member in sorted(m for m in members if m.startswith(f"{folder}/")):
        if PurePosixPath(member).stem not in labelled:
            rejected.reject("no label", member, PurePosixPath(member).stem)
    for member in labels:
        number = PurePosixPath(member).name.removesuffix(ends)
        picture, label = f"{folder}/images/{number}.jpg", _read_label(source, member)
        picture = finder.find(picture) or picture
        yield LabelRow(member, picture, f"{folder}_{number}", label, NUMBERED_FOLDERS[folder])


def _read_label(source: DatasetFiles, member: str) -> str:
    try:
        return parse_label(source.read(member))
    except PreparedError:
        return "unreadable"


@lru_cache(maxsize=256)
def parse_label(content: bytes) -> str:
    """Return the single value of a .npy file, an integer or its text; otherwise what is wrong."""
    if len(content) > LARGEST_LABEL_BYTES:
        return "not a label file"
    try:
        value: np.ndarray = read_array(io.BytesIO(content), allow_pickle=False)  # type: ignore[no-untyped-call]
    except Exception:  # NumPy raises errors of many kinds for broken files
        return "not an array"
    return (
        str(value.item())
        if value.size == 1 and value.dtype.kind in "iuU"
        else "not a single integer"
    )
