"""Drawn people who make faces: a set that needs no data, for smoke runs and tests."""

import io
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from registry.catalog import DLN, EMOTIONS
from training.datasets.source import Picture, Reading
from training.datasets.synthetic.drawing import INTENSITIES, draw

PERSONS = {"train": range(8), "validation": range(8, 10), "test": range(10, 12)}
SIZE_PX = 112
VOTERS = 10


@dataclass(frozen=True)
class Drawn:
    """Draws the picture that a member names."""

    def read(self, member: str) -> bytes:
        """Return the picture `person-emotion-variant` as BMP: equal bytes for equal pixels."""
        person, emotion, variant = map(int, member.split("-"))
        content = io.BytesIO()
        Image.fromarray(draw(person, emotion, variant, SIZE_PX)).save(content, "BMP")
        return content.getvalue()


def read(path: Path | None = None) -> Reading:
    """Return the set of drawn faces; it has no source, so `path` isn't looked at."""
    del path
    pictures = [
        _picture(split, *drawn)
        for split, persons in PERSONS.items()
        for drawn in product(persons, range(len(EMOTIONS)), range(len(INTENSITIES)))
    ]
    return Reading(
        source=Drawn(),
        pictures=pictures,
        framing=DLN.crop.margin,
        triplets=pd.concat([triplets(pictures, split) for split in ("validation", "test")]),
        notes=["Drawn faces: they say nothing about real ones."],
    )


def triplets(pictures: list[Picture], split: str, count: int = 120) -> pd.DataFrame:
    """Return fixed triplets: two people of one emotion, and an odd one of another.

    In every second the odd one is drawn of the same person as one of the pair, to tempt.
    """
    rng = np.random.default_rng(0)

    def one_of(faces: list[Picture]) -> Picture:
        return faces[int(rng.integers(len(faces)))]

    mine = [p for p in pictures if p.split == split]
    rows = []
    for number in range(count):
        first = one_of(mine)
        same = [p for p in mine if p.emotion == first.emotion and p.person != first.person]
        others = [p for p in mine if p.emotion != first.emotion]
        tempting = [p for p in others if p.person == first.person]
        faces, answer = [first.name, one_of(same).name], number % 3 + 1
        faces.insert(answer - 1, one_of(tempting if number % 2 else others).name)
        rows.append((*faces, "TWO_CLASS_TRIPLET", None, answer, split))
    columns = ["name_1", "name_2", "name_3", "type", "annotator", "answer", "split"]
    return pd.DataFrame(rows, columns=columns)


def _picture(split: str, person: int, emotion: int, variant: int) -> Picture:
    """Describe a drawing; as many of ten voters see its emotion as it is strong, others neutral."""
    seen = round(VOTERS * INTENSITIES[variant])
    votes = [0] * (len(EMOTIONS) + 2)
    votes[0] += VOTERS - seen
    votes[emotion] += seen
    name = f"person{person:02d}_{EMOTIONS[emotion]}_{variant}"
    return Picture(
        member=f"{person}-{emotion}-{variant}",
        name=name,
        split=split,
        person=f"person{person:02d}",
        emotion=emotion,
        votes=tuple(votes),
        angle=0.0,
    )
