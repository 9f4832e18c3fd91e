"""Drawn faces: a set that needs no data, for smoke runs and tests."""

import io
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from registry.catalog import DLN, EMOTIONS
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.synthetic.drawing import INTENSITIES, draw

PERSONS = {"train": range(8), "validation": range(8, 10), "test": range(10, 12)}
SIZE_PX = 112
VOTERS = 10


@dataclass(frozen=True)
class DrawnFaces:
    """Draws the picture that a member names."""

    def read(self, member: str) -> bytes:
        """Return the picture `person-emotion-variant` as BMP: equal bytes for equal pixels."""
        person, emotion, variant = map(int, member.split("-"))
        content = io.BytesIO()
        Image.fromarray(draw(person, emotion, variant, SIZE_PX)).save(content, "BMP")
        return content.getvalue()


def read(path: Path | None = None) -> RawDataset:
    """Return the set of drawn faces; it has no source, so `path` is ignored."""
    del path
    pictures = [
        _picture(split, *drawn)
        for split, persons in PERSONS.items()
        for drawn in product(persons, range(len(EMOTIONS)), range(len(INTENSITIES)))
    ]
    return RawDataset(
        source=DrawnFaces(),
        pictures=pictures,
        cropped_margin=DLN.crop.margin,
        triplets=pd.concat([draw_triplets(pictures, split) for split in ("validation", "test")]),
        notes=["Drawn faces: they say nothing about real ones."],
    )


def draw_triplets(pictures: list[PictureRecord], split: str, count: int = 120) -> pd.DataFrame:
    """Return fixed triplets: two people of one emotion, and an odd one of another.

    In every second triplet the odd face is of the same person as one of the pair.
    """
    rng = np.random.default_rng(0)

    def one_of(faces: list[PictureRecord]) -> PictureRecord:
        return faces[int(rng.integers(len(faces)))]

    candidates = [p for p in pictures if p.split == split]
    rows = []
    for number in range(count):
        first = one_of(candidates)
        same = [p for p in candidates if p.emotion == first.emotion and p.person != first.person]
        others = [p for p in candidates if p.emotion != first.emotion]
        same_person = [p for p in others if p.person == first.person]
        faces, answer = [first.name, one_of(same).name], number % 3 + 1
        faces.insert(answer - 1, one_of(same_person if number % 2 else others).name)
        rows.append((*faces, "TWO_CLASS_TRIPLET", None, answer, split))
    columns = ["name_1", "name_2", "name_3", "type", "annotator", "answer", "split"]
    return pd.DataFrame(rows, columns=columns)


def _picture(split: str, person: int, emotion: int, variant: int) -> PictureRecord:
    """Return a drawing's record; the share of votes for its emotion is its intensity."""
    count = round(VOTERS * INTENSITIES[variant])
    votes = [0] * (len(EMOTIONS) + 2)
    votes[EMOTIONS.index("neutral")] += VOTERS - count
    votes[emotion] += count
    name = f"person{person:02d}_{EMOTIONS[emotion]}_{variant}"
    return PictureRecord(
        member=f"{person}-{emotion}-{variant}",
        name=name,
        split=split,
        person=f"person{person:02d}",
        emotion=emotion,
        votes=tuple(votes),
        angle=0.0,
    )
