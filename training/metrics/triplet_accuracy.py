"""How often the nearest pair is the one people chose."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from training.metrics.estimates import Share

TYPES = {
    "ONE_CLASS_TRIPLET": "one_class",
    "TWO_CLASS_TRIPLET": "two_class",
    "THREE_CLASS_TRIPLET": "three_class",
}


def outcomes(
    embeddings: Float[np.ndarray, "faces dims"],
    faces: Int[np.ndarray, "triplets 3"],
    odd: Int[np.ndarray, "triplets"],
) -> Bool[np.ndarray, "triplets"]:
    """Return which triplets are right: the pair strictly nearer than both distances to the odd one.

    Args:
        embeddings: one vector a face.
        faces: rows of the three faces.
        odd: 1, 2 or 3, the face people chose as odd.
    """
    order = (odd[:, None] + np.array([0, 1, 2])) % 3
    a, p, n = np.take_along_axis(faces, order, axis=1).T

    def distance(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        apart: np.ndarray = np.linalg.norm(embeddings[i] - embeddings[j], axis=1)
        return apart

    near = distance(a, p)
    return (near < distance(a, n)) & (near < distance(p, n))


def shares(
    right: Bool[np.ndarray, "triplets"],
    types: pd.Series,
    clusters: Int[np.ndarray, "triplets 3"],
) -> dict[str, Share]:
    """Return the share of right triplets over all and by type.

    Args:
        right: outcome of each triplet.
        types: type of each triplet.
        clusters: which photo or person each face belongs to; see `interval`.
    """
    values = right.astype(np.float64)
    return {
        name: Share(right=values[chosen], clusters=clusters[chosen])
        for name, chosen in _by_type(types)
    }


def _by_type(types: pd.Series) -> Iterator[tuple[str, Bool[np.ndarray, "triplets"]]]:
    named = types.map(TYPES).to_numpy()
    yield "triplet_accuracy", np.ones(len(types), dtype=bool)
    for name in pd.unique(named):
        yield f"triplet_accuracy_{name}", named == name
