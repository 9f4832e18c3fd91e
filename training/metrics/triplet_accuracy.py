"""How often the nearest pair of a triplet is the pair that people chose."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from training.metrics.estimates import Quantity, TripletAccuracy

METRIC = "triplet_accuracy"
TYPES = {
    "ONE_CLASS_TRIPLET": "one class",
    "TWO_CLASS_TRIPLET": "two class",
    "THREE_CLASS_TRIPLET": "three class",
}


def outcomes(
    embeddings: Float[np.ndarray, "faces dims"],
    faces: Int[np.ndarray, "triplets 3"],
    odd: Int[np.ndarray, "triplets"],
) -> Bool[np.ndarray, "triplets"]:
    """Return which triplets are right: the pair strictly nearer than both distances to the odd one.

    Args:
        embeddings: one vector for each face.
        faces: rows of the three faces.
        odd: 1, 2 or 3, the face that people chose as odd.
    """
    order = (odd[:, None] + np.array([0, 1, 2])) % 3
    a, p, n = np.take_along_axis(faces, order, axis=1).T

    def distance(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        norms: np.ndarray = np.linalg.norm(embeddings[i] - embeddings[j], axis=1)
        return norms

    pair = distance(a, p)
    return (pair < distance(a, n)) & (pair < distance(p, n))


def accuracies(
    right: Bool[np.ndarray, "triplets"],
    types: pd.Series,
    clusters: Int[np.ndarray, "triplets 3"],
) -> dict[Quantity, TripletAccuracy]:
    """Return the share of right triplets over all and by type.

    Args:
        right: outcome of each triplet.
        types: type of each triplet.
        clusters: which photo or person each face belongs to; see `bootstrap.interval`.
    """
    values = right.astype(np.float64)
    return {
        Quantity(METRIC, group): TripletAccuracy(right=values[chosen], clusters=clusters[chosen])
        for group, chosen in _by_type(types)
    }


def _by_type(types: pd.Series) -> Iterator[tuple[str, Bool[np.ndarray, "triplets"]]]:
    groups = types.map(TYPES).to_numpy()
    yield "", np.ones(len(types), dtype=bool)
    for group in pd.unique(groups):
        yield group, groups == group
