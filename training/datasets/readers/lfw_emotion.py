"""Faces from the news, named and with an emotion each (github.com/muxspace/facial_expressions)."""

from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from training.datasets.leakage import remove_leaked_pictures
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.csv_tables import TableColumns, read_table
from training.datasets.readers.label_maps import WORDS
from training.datasets.readers.label_rows import RejectedRows
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.splits import person_splits

COLUMNS = TableColumns(needs=("image", "emotion"), order=("user.id", "image", "emotion"))


def read(path: Path | None) -> RawDataset:
    """Return the set from lfw_emotion.zip or its unpacked folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = DatasetFiles.locate(path, "lfw-emotion", "legend.csv")
    rejected = RejectedRows()
    legend = read_table("legend.csv", partial(source.open, "legend.csv"), COLUMNS, rejected)
    emotions, notes = read_labels(legend)
    split = person_splits("lfw_emotion")
    listed = [_picture(member, emotions, split) for member in source.pictures("images/")]
    digests = [source.digest(p.member) for p in listed]
    pictures, dropped = remove_leaked_pictures(listed, digests)
    unknown = sum(p.emotion is None for p in pictures)
    return RawDataset(
        source=source,
        pictures=pictures,
        notes=[
            *notes,
            *dropped,
            f"{unknown:,} pictures have no emotion.",
            *rejected.notes,
        ],
    )


def read_labels(legend: pd.DataFrame) -> tuple[dict[str, int], list[str]]:
    """Return picture -> emotion of the pictures whose annotators agree, and notes."""
    rows = pd.DataFrame(
        {
            "picture": [PureWindowsPath(image).stem for image in legend["image"]],
            "word": legend["emotion"].str.lower(),
        }
    )
    rows["emotion"] = rows["word"].map(WORDS)
    unknown = Counter(rows["word"][rows["emotion"].isna()])
    known = rows[["picture", "emotion"]].dropna().drop_duplicates()
    agreed = known.drop_duplicates("picture", keep=False)
    contradicted = known["picture"].nunique() - len(agreed)
    emotions = {p: int(emotion) for p, emotion in agreed.itertuples(index=False)}
    return emotions, [
        f"{contradicted} pictures with contradicting emotions get no emotion.",
        *(
            f"{n} rows say {word!r}, which isn't one of our emotions."
            for word, n in unknown.items()
        ),
    ]


def person_of(picture: str) -> str:
    """Return the person's name: `Aaron_Eckhart` for `Aaron_Eckhart_0001`."""
    return picture.rpartition("_")[0]


def _picture(member: str, emotions: dict[str, int], split: dict[str, str]) -> PictureRecord:
    name = PurePosixPath(member).stem
    person = person_of(name)
    return PictureRecord(
        member=member,
        name=name,
        person=person,
        split=split.get(person, "train"),
        emotion=emotions.get(name),
    )
