"""How much of who somebody is an expression embedding gives away.

The headline is asked across expressions: can the distance alone tell one person in two expressions
from two people in the same two? Pairs with one expression are asked too, but pictures of one
sitting really are alike there.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from training.datasets.prepared import Prepared
from training.metrics import identity_questions
from training.metrics.estimates import Area, Estimate, Share
from training.metrics.triplet_accuracy import outcomes

GROUPS = ("sex", "ethnicity")
FEWEST = 3
"""Persons that a group must have to get a number of its own."""


def leak(
    vectors: Float[np.ndarray, "faces dims"], data: Prepared, asked: pd.DataFrame
) -> dict[str, Estimate]:
    """Return what the vectors give away of identity.

    Args:
        vectors: a vector for each row of the set's index that is asked about.
        data: a prepared set.
        asked: questions about its people; see `identity_questions.asked`.

    Returns:
        `leak_auc` (across expressions, 0.5 is perfect) and `leak_auc_alike` (within one), both by
        sex and ethnicity where the set tells (`leak_auc/sex:female`), and the shares of
        `adversarial` and `three_people` triplets whose pair is strictly the nearest; each where it
        can be asked.
    """
    person = pd.factorize(data.index["person"])[0]
    found: dict[str, Estimate] = {}
    for kind, name in (
        (identity_questions.ACROSS, "leak_auc"),
        (identity_questions.ALIKE, "leak_auc_alike"),
    ):
        for group, pairs in _by_group(asked[asked["kind"] == kind], data.index):
            is_same = pairs["same_person"].to_numpy(dtype=bool)
            if is_same.any() and not is_same.all():
                found[f"{name}{group}"] = _area(vectors, person, stacked(pairs, 2), is_same)
    for kind in (identity_questions.ADVERSARIAL, identity_questions.THREE_PEOPLE):
        faces = stacked(asked[asked["kind"] == kind], 3)
        if len(faces):
            right = outcomes(vectors, faces, np.full(len(faces), 3)).astype(np.float64)
            found[kind] = Share(right=right, clusters=person[faces])
    return found


def stacked(asked: pd.DataFrame, width: int) -> Int[np.ndarray, "questions width"]:
    """Return the rows of pairs (`width` 2) or triplets (3)."""
    return np.array(asked["rows"].tolist(), dtype=np.int64).reshape(-1, width)


def _by_group(pairs: pd.DataFrame, index: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield all pairs, then those within each group of people."""
    yield "", pairs
    rows = stacked(pairs, 2)
    for column in GROUPS:
        of_face = index[column].to_numpy()[rows]
        for value in pd.unique(pd.Series(of_face[:, 0]).dropna()):
            within = pairs[(of_face == value).all(1)]
            persons = index["person"].to_numpy()[stacked(within, 2)]
            if len(pd.unique(persons.ravel())) >= FEWEST:
                yield f"/{column}:{value}", within


def _area(vectors: np.ndarray, person: np.ndarray, rows: np.ndarray, is_same: np.ndarray) -> Area:
    apart = np.linalg.norm(vectors[rows[:, 0]] - vectors[rows[:, 1]], axis=1).astype(np.float64)
    who = np.unique(person[rows], return_inverse=True)[1].reshape(rows.shape)
    return Area(
        same=apart[None, is_same],
        other=apart[None, ~is_same],
        same_person=who[is_same, 0],
        other_persons=who[~is_same],
    )
