"""Pairs of one person in two emotions: training data for the transfer of expressions."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from training.datasets.prepared import Prepared

SAME_IN_PAIR = ["person", "angle", "gaze"]
"""Columns in which both pictures of a pair are equal; unknown angles and gazes are equal too."""


def pairs(data: Prepared, split: str) -> Int[np.ndarray, "pairs 2"]:
    """Return the rows of all pairs of one person, angle and gaze in two different emotions.

    Each pair comes in both orders, (a, b) and (b, a), sorted by the first row, then by the second.
    Unknown angles are equal to each other and so are unknown gazes; pictures of unknown persons or
    emotions are in no pair.

    Raises:
        PreparedError: there is no such split.
    """
    faces = _labelled_faces(data, split)
    found = [np.empty((0, 2), dtype=np.int64)]
    for _, group in faces.groupby(SAME_IN_PAIR, dropna=False, sort=False):
        emotion, row = group["emotion"].to_numpy(), group.index.to_numpy()
        first, second = np.nonzero(emotion[:, None] != emotion)
        found.append(np.stack([row[first], row[second]], axis=1))
    unsorted = np.concatenate(found)
    ordered: np.ndarray = unsorted[np.lexsort((unsorted[:, 1], unsorted[:, 0]))]
    return ordered


def count_pairs(data: Prepared, split: str) -> int:
    """Return the length of `pairs` without building them: large sets have millions.

    Raises:
        PreparedError: there is no such split.
    """
    faces = _labelled_faces(data, split)
    group_sizes = faces.groupby(SAME_IN_PAIR, dropna=False).size()
    same_emotion = faces.groupby([*SAME_IN_PAIR, "emotion"], dropna=False).size()
    return int((group_sizes**2).sum() - (same_emotion**2).sum())


def _labelled_faces(data: Prepared, split: str) -> pd.DataFrame:
    """Return the faces of a split whose person and emotion are known, by their rows."""
    faces = data.index[[*SAME_IN_PAIR, "emotion"]].iloc[data.split(split)]
    return faces.dropna(subset=["person", "emotion"])
