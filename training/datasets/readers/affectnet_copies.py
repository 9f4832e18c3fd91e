"""Copies of AffectNet: class folders, or labels.csv with paths and words."""

from functools import partial

from training.datasets.readers.archives import DatasetFiles, PictureFinder
from training.datasets.readers.class_folders import find_class_folders, split_pictures
from training.datasets.readers.csv_tables import TableColumns, read_rows, whole_number
from training.datasets.readers.label_maps import (
    AFFECTNET,
    AFFECTNET_EXCLUDED,
    AFFECTNET_WORDS_EXCLUDED,
    WORDS,
)
from training.datasets.readers.label_rows import (
    PERSONS_UNKNOWN,
    LabelRow,
    RejectedRows,
    filter_rows,
    picture_name,
)
from training.datasets.readers.published_splits import split_of
from training.datasets.source import PictureRecord

LABELS_FILE = "labels.csv"
COLUMNS = TableColumns(needs=("pth", "label"), order=("", "pth", "label", "relFCs"))
LABELS = {**WORDS, **AFFECTNET}
"""Words, and the codes of AffectNet, which some copies use as names of folders."""
EXCLUDED = {**AFFECTNET_EXCLUDED, **AFFECTNET_WORDS_EXCLUDED}


def read_copy(
    source: DatasetFiles, rejected: RejectedRows
) -> tuple[list[PictureRecord], list[str]] | None:
    """Return the pictures of a copy, and notes on its layout; None if it isn't one.

    Raises:
        PreparedError: labels.csv can't be read, or not one picture can be used.
    """
    members = source.pictures()
    rows = find_class_folders(members, {**LABELS, **EXCLUDED}, rejected)
    root = source.root_of(LABELS_FILE)
    if root is not None:
        rows, layout = _with_list(source, root, rows or [], rejected)
    elif rows is not None:
        layout = "Layout: AffectNet as class folders; numbers are AffectNet's own codes, 0 to 7."
    else:
        return None
    labelled = filter_rows(rows, LABELS, set(members), rejected, EXCLUDED)
    pictures, note = split_pictures(labelled)
    return pictures, [layout, note, PERSONS_UNKNOWN]


def _with_list(
    source: DatasetFiles, root: str, rows: list[LabelRow], rejected: RejectedRows
) -> tuple[list[LabelRow], str]:
    """Return the rows with the labels of labels.csv, and a note.

    In the usual copy some pictures lie in the folder of another emotion than the list says: the
    list holds. A picture that isn't listed keeps the emotion of its folder.
    """
    split_by_member = {row.member: row.split for row in rows}
    listed = [
        row._replace(split=split_by_member.get(row.member, ""))
        for row in _list_rows(source, root, rejected)
    ]
    known = {row.member for row in listed}
    rest = [row for row in rows if row.member not in known]
    return [*listed, *rest], (
        f"Layout: AffectNet with labels.csv, which names {len(listed):,} pictures; "
        f"{len(rest):,} others have the emotion of their folder."
    )


def _list_rows(source: DatasetFiles, root: str, rejected: RejectedRows) -> list[LabelRow]:
    members = [member.removeprefix(root) for member in source.pictures(root)]
    finder = PictureFinder(members)
    inside = sorted({m.split("/")[0] for m in members if split_of(m.split("/")[0])})
    rows = []
    opener = partial(source.open, root + LABELS_FILE)
    for location, cells in read_rows(root + LABELS_FILE, opener, COLUMNS, rejected):
        places = [cells["pth"], *(f"{folder}/{cells['pth']}" for folder in inside)]
        found = sorted(filter(None, map(finder.find, places)))
        if len(found) > 1:
            rejected.reject("the path fits several pictures", location, cells["pth"])
            continue
        member = root + (found[0] if found else cells["pth"])
        label = whole_number(cells["label"]).lower()
        rows.append(LabelRow(location, member, picture_name(member), label))
    return rows
