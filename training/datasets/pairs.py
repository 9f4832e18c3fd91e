"""Pairs of one person in two emotions: what a transfer of expressions is learned from."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from training.datasets.prepared import Prepared

ALIKE = ["person", "angle", "gaze"]
"""What both pictures of a pair have in common; where nothing is known of pose, that is as alike as
can be said."""


def pairs(data: Prepared, split: str) -> Int[np.ndarray, "pairs 2"]:
    """Return the rows of all pairs of one person, angle and gaze in two different emotions.

    Each pair comes in both orders, (a, b) and (b, a): the first row of the one is the second of the
    other. They are sorted by their first row, then by their second. Unknown angles are equal to
    each other and so are unknown gazes, unknown persons and emotions are not; a set without persons
    has no pairs.

    Raises:
        PreparedError: there is no such split.
    """
    faces = _shown(data, split)
    found = [np.empty((0, 2), dtype=np.int64)]
    for _, alike in faces.groupby(ALIKE, dropna=False, sort=False):
        emotion, row = alike["emotion"].to_numpy(), alike.index.to_numpy()
        first, second = np.nonzero(emotion[:, None] != emotion)
        found.append(np.stack([row[first], row[second]], axis=1))
    both = np.concatenate(found)
    ordered: np.ndarray = both[np.lexsort((both[:, 1], both[:, 0]))]
    return ordered


def number_of_pairs(data: Prepared, split: str) -> int:
    """Return the length of `pairs` without making them, as large sets have millions.

    Raises:
        PreparedError: there is no such split.
    """
    faces = _shown(data, split)
    alike = faces.groupby(ALIKE, dropna=False).size()
    same = faces.groupby([*ALIKE, "emotion"], dropna=False).size()
    return int((alike**2).sum() - (same**2).sum())


def _shown(data: Prepared, split: str) -> pd.DataFrame:
    """Return the faces of a split whose person and emotion are known, by their rows."""
    faces = data.index[[*ALIKE, "emotion"]].iloc[data.split(split)]
    return faces.dropna(subset=["person", "emotion"])
