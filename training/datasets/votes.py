"""What people said about each face, as a distribution over the emotions."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from registry.catalog import EMOTIONS


def counts(index: pd.DataFrame) -> Float[np.ndarray, "faces emotions"]:
    """Return the votes each face got for each emotion.

    One person's vote against many is noise and dropped, as the FER+ authors do; a face with a label
    and no votes counts as one vote; unknown and no-face votes are left out; no opinion is all zero.
    """
    out = np.zeros((len(index), len(EMOTIONS)), dtype=np.float32)
    for row, (votes, emotion) in enumerate(zip(index["votes"], index["emotion"], strict=True)):
        if votes is not None and not np.isscalar(votes):
            said = np.asarray(votes[: len(EMOTIONS)], dtype=np.float32)
            out[row] = np.where(said > 1, said, 0) if said.max() > 1 else said
        elif not pd.isna(emotion):
            out[row, int(emotion)] = 1
    return out


def is_clear(index: pd.DataFrame) -> np.ndarray:
    """Return which faces serve triplets: a label, and of several voters 5 for emotions, 2 against.

    The rule of the fixed FER+ triplets: at most 2 votes for unknown or no face, at least 5 left.
    """
    opinions = counts(index)
    against = np.array(
        [0 if v is None or np.isscalar(v) else sum(v[len(EMOTIONS) :]) for v in index["votes"]]
    )
    several = np.array([v is not None and not np.isscalar(v) for v in index["votes"]])
    left = opinions.sum(1)
    clear: np.ndarray = (~several & (left > 0)) | (several & (left >= 5) & (against <= 2))
    return clear


def majority(index: pd.DataFrame) -> Float[np.ndarray, "faces"]:
    """Return the emotion that more than half of the votes name, NaN where none does.

    Votes given by one person alone are dropped first; unknown and no face count as votes. After the
    majority rule of Barsoum et al. (2016).
    """
    out = np.full(len(index), np.nan)
    for row, votes in enumerate(index["votes"]):
        if votes is not None and not np.isscalar(votes):
            said = np.asarray(votes)
            said = np.where(said > 1, said, 0)
            if said.max() > said.sum() / 2 and said.argmax() < len(EMOTIONS):
                out[row] = said.argmax()
    return out


def shares(opinions: Float[np.ndarray, "faces emotions"]) -> Float[np.ndarray, "faces emotions"]:
    """Return the votes as distributions; a face without an opinion stays all zero."""
    total = opinions.sum(1, keepdims=True)
    return np.divide(opinions, total, out=np.zeros_like(opinions), where=total > 0)
