"""Radboud Faces Database: people in a studio, eight emotions, five cameras, three gazes.

Langner et al., 2010. All that is known of a picture stands in its name, such as
Rafd090_01_Caucasian_female_happy_frontal.jpg.
"""

import re
from pathlib import Path, PurePosixPath

from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import RAFD
from training.datasets.readers.label_rows import RejectedRows, Row, filter_rows
from training.datasets.source import Picture, Reading
from training.datasets.splits import drawn

NAME = re.compile(
    r"Rafd(?P<camera>000|045|090|135|180)_(?P<person>[0-9]+)_(?P<group>Caucasian|Moroccan|Kid)_"
    r"(?P<sex>male|female)_(?P<word>[a-z]+)_(?P<gaze>frontal|left|right)\.jpg"
)
FRONT = 90
"""The camera that people face; the others stand 45 and 90 degrees to either side."""
SUFFIXES = (".jpg", ".jpeg", ".png")
"""Of files that are held against the pattern; others are no pictures."""
ANGLES = (
    "`angle` is the camera's number less 90: 0 from the front, -90 and 90 in profile; profiles in "
    "which no face is found are dropped."
)
GAZES = {"frontal": "front", "left": "left", "right": "right"}


def read(path: Path | None, *, frontal: bool = False) -> Reading:
    """Return the set from a folder or zip that holds its pictures, in whatever folders.

    Persons are drawn by their numbers: 10 % for validation, 10 % for the test.

    Args:
        path: the folder or zip.
        frontal: take those pictures alone that are taken from the front and look there: 8 of each
            person. The persons of each split are the same.

    Raises:
        PreparedError: no picture is named as this set names them.
    """
    set_name = "rafd-frontal" if frontal else "rafd"
    source, losses = Files.of(path, set_name), RejectedRows()
    rows = name_rows([m for m in source.members() if m.lower().endswith(SUFFIXES)], losses)
    if not rows:
        raise PreparedError(
            f"{path} isn't {set_name}: it has no picture with a name such as "
            "Rafd090_01_Caucasian_female_happy_frontal.jpg."
        )
    labelled = filter_rows(rows, RAFD, {row.member for row in rows}, losses)
    split = drawn((_told(row)["person"] for row, _ in labelled), validation=0.1, test=0.1)
    taken = [_picture(row, emotion, split) for row, emotion in labelled]
    asked = [p for p in taken if not frontal or (p.angle == 0 and p.gaze == "front")]
    return Reading(
        source=source,
        pictures=asked,
        notes=[
            "Whole persons are drawn by their numbers: 10 % for validation, 10 % for the test.",
            *(
                [f"{len(taken) - len(asked):,} left out: not from the front or not looking there."]
                if frontal
                else [ANGLES]
            ),
            "`Kid` stands for the ethnicity of children, as in the names.",
            *losses.notes,
        ],
    )


def name_rows(members: list[str], losses: RejectedRows) -> list[Row]:
    """Return a row for each picture; names off the pattern go to `losses`."""
    rows = []
    for member in members:
        name = PurePosixPath(member).name
        told = NAME.fullmatch(name)
        if told:
            rows.append(Row(member, member, name.removesuffix(".jpg"), told["word"]))
        else:
            losses.drop("a name off the pattern", member, name)
    return rows


def _told(row: Row) -> re.Match[str]:
    told = NAME.fullmatch(f"{row.name}.jpg")
    assert told is not None
    return told


def _picture(row: Row, emotion: int, split: dict[str, str]) -> Picture:
    told = _told(row)
    return Picture(
        member=row.member,
        name=row.name,
        person=told["person"],
        sex=told["sex"],
        ethnicity=told["group"],
        emotion=emotion,
        angle=float(int(told["camera"]) - FRONT),
        gaze=GAZES[told["gaze"]],
        split=split.get(told["person"], "train"),
    )
