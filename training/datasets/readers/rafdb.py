"""RAF-DB, basic emotions: faces from the web, each labelled by 40 people (Li, Deng, Du, 2017)."""

import re
from collections.abc import Iterator
from pathlib import Path

from registry.catalog import FERPLUS_MARGIN
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles, PictureFinder
from training.datasets.readers.csv_tables import whole_number
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


def read(path: Path | None) -> RawDataset:
    """Return RAF-DB from its folder or a zip of it.

    The published test set is our test split; 5 % of the training set, drawn by name, are our
    validation split. Originals are cut as the demo cuts photos; aligned pictures are used if there
    are fewer originals.

    Raises:
        PreparedError: `path` holds something else.
    """
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
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        location = f"{LIST} line {number}"
        words = re.sub('[",;]', " ", line).split()
        name = NAME.fullmatch(words[0]) if len(words) == 2 else None
        if name:
            yield LabelRow(location, words[0], name[1], whole_number(words[1]), name[2])
        elif words:
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
