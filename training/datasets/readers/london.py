"""Face Research Lab London Set: people in a studio, neutral and smiling (DeBruine, Jones 2017)."""

from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from registry.catalog import EMOTIONS
from training.datasets.readers.archives import DatasetFiles, PictureFinder
from training.datasets.readers.csv_tables import TableColumns, read_table, whole_number
from training.datasets.readers.label_rows import RejectedRows
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.splits import person_splits

EXPRESSIONS = {"03": EMOTIONS.index("neutral"), "08": EMOTIONS.index("happy")}
"""Number of the shot -> emotion; both shots are taken from the front."""

COLUMNS = TableColumns(needs=("face_id", "face_age", "face_gender", "face_eth"))
ID_DIGITS = 3
"""A spreadsheet makes 1 of 001."""


def read(path: Path | None) -> RawDataset:
    """Return the set from its folder or a zip of it.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = DatasetFiles.locate(path, "london", "info.csv")
    rejected = RejectedRows()
    listed = read_table("info.csv", partial(source.open, "info.csv"), COLUMNS, rejected)
    listed["face_id"] = [whole_number(number).zfill(ID_DIGITS) for number in listed["face_id"]]
    people = listed.drop_duplicates("face_id").set_index("face_id")
    finder = PictureFinder(source.pictures())
    split = person_splits("london")
    pictures = [
        _picture(member, row, EXPRESSIONS[shot], split.get(str(person), "train"))
        for person, row in people.iterrows()
        for shot in EXPRESSIONS
        if (member := finder.find(f"{person}_{shot}.jpg"))
    ]
    missing = len(people) * len(EXPRESSIONS) - len(pictures)
    repeated = len(listed) - len(people)
    return RawDataset(
        source=source,
        pictures=pictures,
        notes=[
            f"{len(people)} people, neutral and smiling; {missing} pictures are missing.",
            *([f"{repeated} dropped, a duplicate."] if repeated else []),
            *rejected.notes,
        ],
    )


def _picture(member: str, row: pd.Series, emotion: int, split: str) -> PictureRecord:
    return PictureRecord(
        member=member,
        name=PurePosixPath(member).stem,
        person=str(row.name),
        sex=row["face_gender"],
        ethnicity=row["face_eth"],
        age=int(age) if (age := whole_number(row["face_age"])).isdecimal() else None,
        emotion=emotion,
        angle=0.0,
        gaze="front",
        split=split,
    )
