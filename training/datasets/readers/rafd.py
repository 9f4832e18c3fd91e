"""Radboud Faces Database: people in a studio, eight emotions, five cameras, three gazes.

Langner et al., 2010. A picture's name says all that is known about it, such as
Rafd090_01_Caucasian_female_happy_frontal.jpg.
"""

import re
from pathlib import Path, PurePosixPath

from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.label_maps import RAFD
from training.datasets.readers.label_rows import LabelRow, RejectedRows, filter_rows
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.splits import draw_splits

NAME = re.compile(
    r"Rafd(?P<camera>000|045|090|135|180)_(?P<person>[0-9]+)_(?P<group>Caucasian|Moroccan|Kid)_"
    r"(?P<sex>male|female)_(?P<word>[a-z]+)_(?P<gaze>frontal|left|right)",
    re.IGNORECASE,
)
FRONT = 90
"""The camera that people face; the others stand 45 and 90 degrees to either side."""
ANGLES = (
    "`angle` is the camera's number minus 90: 0 from the front, -90 and 90 in profile; profiles in "
    "which no face is found are dropped."
)
GAZES = {"frontal": "front", "left": "left", "right": "right"}


def read(path: Path | None, *, frontal: bool = False) -> RawDataset:
    """Return the set from a folder or zip that holds its pictures, in any folders.

    Persons are drawn by their numbers: 10 % for validation, 10 % for the test.

    Args:
        path: the folder or zip.
        frontal: return only pictures from the front in which the person looks at the camera: 8 of
            each person. The persons of each split are the same.

    Raises:
        PreparedError: no picture has a name in this set's form.
    """
    set_name = "rafd-frontal" if frontal else "rafd"
    source, rejected = DatasetFiles.locate(path, set_name), RejectedRows()
    rows = parse_names(source.pictures(), rejected)
    if not rows:
        raise PreparedError(
            f"{path} isn't {set_name}: it has no picture with a name such as "
            "Rafd090_01_Caucasian_female_happy_frontal.jpg; name the folder or zip of its pictures."
        )
    labelled = filter_rows(rows, RAFD, {row.member for row in rows}, rejected)
    split = draw_splits(
        (_name_parts(row)["person"] for row, _ in labelled), validation=0.1, test=0.1
    )
    pictures = [_picture(row, emotion, split) for row, emotion in labelled]
    chosen = [p for p in pictures if not frontal or (p.angle == 0 and p.gaze == "front")]
    omitted = len(pictures) - len(chosen)
    return RawDataset(
        source=source,
        pictures=chosen,
        notes=[
            "Whole persons are drawn by their numbers: 10 % for validation, 10 % for the test.",
            f"{omitted:,} left out: not from the front or not looking at the camera."
            if frontal
            else ANGLES,
            "`Kid` stands for the ethnicity of children, as in the names.",
            *rejected.notes,
        ],
    )


def parse_names(members: list[str], rejected: RejectedRows) -> list[LabelRow]:
    """Return a row for each picture; those whose names don't match NAME go to `rejected`."""
    rows = []
    for member in members:
        path = PurePosixPath(member)
        parts = NAME.fullmatch(path.stem)
        if parts:
            rows.append(LabelRow(member, member, path.stem, parts["word"].lower()))
        else:
            rejected.reject("unexpected name", member, path.name)
    return rows


def _name_parts(row: LabelRow) -> re.Match[str]:
    parts = NAME.fullmatch(row.name)
    assert parts is not None
    return parts


def _picture(row: LabelRow, emotion: int, split: dict[str, str]) -> PictureRecord:
    parts = _name_parts(row)
    return PictureRecord(
        member=row.member,
        name=row.name,
        person=parts["person"],
        sex=parts["sex"].lower(),
        ethnicity=parts["group"].capitalize(),
        emotion=emotion,
        angle=float(int(parts["camera"]) - FRONT),
        gaze=GAZES[parts["gaze"].lower()],
        split=split.get(parts["person"], "train"),
    )
