"""Face Research Lab London Set: people in a studio, neutral and smiling (DeBruine, Jones 2017)."""

from pathlib import Path

import pandas as pd

from registry.catalog import EMOTIONS
from training.datasets.readers.archives import DatasetFiles
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.splits import person_splits

EXPRESSIONS = {"03": EMOTIONS.index("neutral"), "08": EMOTIONS.index("happy")}
"""Number of the shot -> emotion; both shots are taken from the front."""


def read(path: Path | None) -> RawDataset:
    """Return the set from its folder or a zip of it.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = DatasetFiles.locate(path, "london", "info.csv")
    listed = source.read_csv("info.csv", ["face_id", "face_age", "face_gender", "face_eth"])
    people = listed.drop_duplicates("face_id").set_index("face_id")
    split = person_splits("london")
    pictures = [
        _picture(f"{person}_{shot}", row, EXPRESSIONS[shot], split.get(str(person), "train"))
        for person, row in people.iterrows()
        for shot in EXPRESSIONS
        if source.has(f"{person}_{shot}.jpg")
    ]
    missing = len(people) * len(EXPRESSIONS) - len(pictures)
    repeated = len(listed) - len(people)
    return RawDataset(
        source=source,
        pictures=pictures,
        notes=[
            f"{len(people)} people, neutral and smiling; {missing} pictures are missing.",
            *([f"{repeated} dropped, a duplicate."] if repeated else []),
        ],
    )


def _picture(name: str, row: pd.Series, emotion: int, split: str) -> PictureRecord:
    return PictureRecord(
        member=f"{name}.jpg",
        name=name,
        person=str(row.name),
        sex=row["face_gender"],
        ethnicity=row["face_eth"],
        age=int(row["face_age"]) if row["face_age"].isdigit() else None,
        emotion=emotion,
        angle=0.0,
        gaze="front",
        split=split,
    )
