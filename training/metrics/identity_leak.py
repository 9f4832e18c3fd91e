"""How much an expression embedding reveals about the identity of a person.

The main number is measured across expressions: can the distance alone tell one person in two
expressions from two people in the same two? Pairs with one expression are measured too, but
there, pictures of one session do look alike.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from registry.metrics.estimates import Estimate, Quantity, RocAuc, TripletAccuracy
from training.datasets.prepared import Prepared
from training.metrics import identity_trials
from training.metrics.triplet_accuracy import outcomes

LEAK = Quantity("leak_auc")
ATTRIBUTES = ("sex", "ethnicity")
FEWEST_PERSONS = 3
"""Fewest persons of a group with its own number."""


def leak(
    vectors: Float[np.ndarray, "faces dims"], data: Prepared, trials: pd.DataFrame
) -> dict[Quantity, Estimate]:
    """Return how much the vectors reveal about identity.

    Args:
        vectors: a vector for each row of the set's index that the trials name.
        data: a prepared set.
        trials: pairs and triplets of its people; see `identity_trials.trials`.

    Returns:
        `leak_auc` (across expressions, 0.5 is perfect) and `leak_auc_same_expression`, both also by
        sex and ethnicity if the set has them (group `sex: female`), and the shares of
        `adversarial` and `three_people` triplets whose pair is strictly the nearest; each only if
        there are trials for it.
    """
    person = pd.factorize(data.index["person"])[0]
    found: dict[Quantity, Estimate] = {}
    for kind, metric in (
        (identity_trials.ACROSS, LEAK.metric),
        (identity_trials.ALIKE, "leak_auc_same_expression"),
    ):
        for group, pairs in _by_group(trials[trials["kind"] == kind], data.index):
            is_same = pairs["same_person"].to_numpy(dtype=bool)
            if is_same.any() and not is_same.all():
                rows = stacked_rows(pairs, 2)
                found[Quantity(metric, group)] = _roc_auc(vectors, person, rows, is_same)
    for kind in (identity_trials.ADVERSARIAL, identity_trials.THREE_PEOPLE):
        faces = stacked_rows(trials[trials["kind"] == kind], 3)
        if len(faces):
            right = outcomes(vectors, faces, np.full(len(faces), 3)).astype(np.float64)
            found[Quantity(kind)] = TripletAccuracy(right=right, clusters=person[faces])
    return found


def stacked_rows(trials: pd.DataFrame, width: int) -> Int[np.ndarray, "trials width"]:
    """Return the index rows of pairs (`width` 2) or triplets (3) as one array."""
    return np.array(trials["rows"].tolist(), dtype=np.int64).reshape(-1, width)


def _by_group(pairs: pd.DataFrame, index: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield all pairs, then those within each group of people."""
    yield "", pairs
    rows = stacked_rows(pairs, 2)
    for attribute in ATTRIBUTES:
        of_face = index[attribute].to_numpy()[rows]
        for value in pd.unique(pd.Series(of_face[:, 0]).dropna()):
            within = pairs[(of_face == value).all(1)]
            persons = index["person"].to_numpy()[stacked_rows(within, 2)]
            if len(pd.unique(persons.ravel())) >= FEWEST_PERSONS:
                yield f"{attribute}: {value}", within


def _roc_auc(
    vectors: np.ndarray, person: np.ndarray, rows: np.ndarray, is_same: np.ndarray
) -> RocAuc:
    distance = np.linalg.norm(vectors[rows[:, 0]] - vectors[rows[:, 1]], axis=1).astype(np.float64)
    persons = np.unique(person[rows], return_inverse=True)[1].reshape(rows.shape)
    return RocAuc(
        same=distance[None, is_same],
        other=distance[None, ~is_same],
        same_person=persons[is_same, 0],
        other_persons=persons[~is_same],
    )
