"""Faces of the news, named and with an emotion each (github.com/muxspace/facial_expressions)."""

import hashlib
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from training.datasets.leakage import pure
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import WORDS
from training.datasets.source import Picture, Reading
from training.datasets.splits import persons


def read(path: Path | None) -> Reading:
    """Return the set from lfw_emotion.zip or its unpacked folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = Files.of(path, "lfw-emotion", "legend.csv")
    emotions, notes = labels(source.table("legend.csv", ["image", "emotion"]))
    split = persons("lfw_emotion")
    listed = [_picture(member, emotions, split) for member in source.members("images/")]
    digests = [hashlib.sha256(source.read(p.member)).hexdigest() for p in listed]
    pictures, dropped = pure(listed, digests)
    unknown = sum(p.emotion is None for p in pictures)
    return Reading(
        source=source,
        pictures=pictures,
        notes=[*notes, *dropped, f"{unknown:,} pictures have no emotion."],
    )


def labels(legend: pd.DataFrame) -> tuple[dict[str, int], list[str]]:
    """Return picture -> emotion of the rows on which a picture's annotators agree, and notes."""
    said = pd.DataFrame(
        {
            "picture": [PurePosixPath(image).stem for image in legend["image"]],
            "word": legend["emotion"].str.lower(),
        }
    )
    said["emotion"] = said["word"].map(WORDS)
    odd = Counter(said["word"][said["emotion"].isna()])
    known = said[["picture", "emotion"]].dropna().drop_duplicates()
    agreed = known.drop_duplicates("picture", keep=False)
    contradicted = known["picture"].nunique() - len(agreed)
    emotions = {p: int(emotion) for p, emotion in agreed.itertuples(index=False)}
    return emotions, [
        f"{contradicted} pictures with contradicting emotions count as without one.",
        *(f"{n} rows say {word!r}, which is no emotion of ours." for word, n in odd.items()),
    ]


def person_of(picture: str) -> str:
    """Return who is on a picture: `Aaron_Eckhart` of `Aaron_Eckhart_0001`."""
    return picture.rpartition("_")[0]


def _picture(member: str, emotions: dict[str, int], split: dict[str, str]) -> Picture:
    name = PurePosixPath(member).stem
    person = person_of(name)
    return Picture(
        member=member,
        name=name,
        person=person,
        split=split.get(person, "train"),
        emotion=emotions.get(name),
    )
