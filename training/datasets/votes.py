"""How many people named each emotion in a face, and rules on these votes."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from registry.catalog import EMOTIONS

FEWEST_VOTES = 5
MOST_AGAINST = 2
"""Votes for unknown or no face that a clear picture may have."""


def counts(index: pd.DataFrame) -> Float[np.ndarray, "faces emotions"]:
    """Return the votes of each face for each emotion; all zero if there are none.

    Single votes are dropped as noise if another emotion has several, as the FER+ authors do; a face
    with a label and no votes has one vote; votes for unknown and for no face are left out.

    Args:
        index: rows of a prepared set's index.
    """
    out = np.zeros((len(index), len(EMOTIONS)), dtype=np.float32)
    for row, (votes, emotion) in enumerate(zip(index["votes"], index["emotion"], strict=True)):
        if votes is not None and not np.isscalar(votes):
            of_emotions = np.asarray(votes[: len(EMOTIONS)], dtype=np.float32)
            several = of_emotions.max() > 1
            out[row] = np.where(of_emotions > 1, of_emotions, 0) if several else of_emotions
        elif not pd.isna(emotion):
            out[row, int(emotion)] = 1
    return out


def is_clear(index: pd.DataFrame) -> Bool[np.ndarray, "faces"]:
    """Return which faces are clear enough for triplets.

    A face with a single label is clear. A face with votes is clear if at most 2 are for unknown or
    no face and at least 5 for emotions, the rule of the fixed FER+ triplets.

    Args:
        index: rows of a prepared set's index.
    """
    against = np.array(
        [0 if v is None or np.isscalar(v) else sum(v[len(EMOTIONS) :]) for v in index["votes"]]
    )
    several = np.array([v is not None and not np.isscalar(v) for v in index["votes"]])
    votes = counts(index).sum(1)
    enough = (votes >= FEWEST_VOTES) & (against <= MOST_AGAINST)
    clear: np.ndarray = (~several & (votes > 0)) | (several & enough)
    return clear


def majority(index: pd.DataFrame) -> Float[np.ndarray, "faces"]:
    """Return the emotion with more than half of the votes, NaN if there is none.

    Emotions with a single vote are dropped first; unknown and no face count as votes. After the
    majority rule of Barsoum et al. (2016).

    Args:
        index: rows of a prepared set's index.
    """
    out = np.full(len(index), np.nan)
    for row, votes in enumerate(index["votes"]):
        if votes is not None and not np.isscalar(votes):
            count = np.asarray(votes)
            count = np.where(count > 1, count, 0)
            if count.max() > count.sum() / 2 and count.argmax() < len(EMOTIONS):
                out[row] = count.argmax()
    return out


def shares(votes: Float[np.ndarray, "faces emotions"]) -> Float[np.ndarray, "faces emotions"]:
    """Return the votes as distributions; a face without votes stays all zero."""
    total = votes.sum(1, keepdims=True)
    return np.divide(votes, total, out=np.zeros_like(votes), where=total > 0)
