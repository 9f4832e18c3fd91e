"""Radboud Faces Database: people in a studio, eight emotions, five cameras, three gazes.

Langner et al., 2010. All that is known of a picture stands in its name, such as
Rafd090_01_Caucasian_female_happy_frontal.jpg.
"""

import re
from pathlib import Path, PurePosixPath

from training.datasets.codes import RAFD
from training.datasets.files import Files
from training.datasets.index import PreparedError
from training.datasets.labels import Losses, Row, sift
from training.datasets.source import Picture, Reading
from training.datasets.splits import drawn

NAME = re.compile(
    r"Rafd(?P<camera>000|045|090|135|180)_(?P<person>[0-9]+)_(?P<group>Caucasian|Moroccan|Kid)_"
    r"(?P<sex>male|female)_(?P<word>[a-z]+)_(?P<gaze>frontal|left|right)\.jpg"
)
FRONT = 90
"""The camera that people face; the others stand 45 and 90 degrees to either side."""
GAZES = {"frontal": "front", "left": "left", "right": "right"}


def read(path: Path | None) -> Reading:
    """Return the set from a folder or zip that holds its pictures, in whatever folders.

    Persons are drawn by their numbers: 10 % for validation, 10 % for the test.

    Raises:
        PreparedError: no picture is named as this set names them.
    """
    source, losses = Files.of(path, "rafd"), Losses()
    rows = name_rows([m for m in source.members() if m.endswith(".jpg")], losses)
    if not rows:
        raise PreparedError(
            f"{path} isn't rafd: it has no picture with a name such as "
            "Rafd090_01_Caucasian_female_happy_frontal.jpg."
        )
    labelled = sift(rows, RAFD, {row.member for row in rows}, losses)
    split = drawn((_told(row)["person"] for row, _ in labelled), validation=0.1, test=0.1)
    return Reading(
        source=source,
        pictures=[_picture(row, emotion, split) for row, emotion in labelled],
        notes=[
            "Whole persons are drawn by their numbers: 10 % for validation, 10 % for the test.",
            "`angle` is the camera's number less 90: 0 from the front, -90 and 90 in profile; "
            "profiles in which no face is found are dropped.",
            "`Kid` stands for the ethnicity of children, as in the names.",
            *losses.notes,
        ],
    )


def name_rows(members: list[str], losses: Losses) -> list[Row]:
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
