"""How often the nearest pair is the one people chose."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

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


def accuracy(right: Bool[np.ndarray, "triplets"], types: pd.Series) -> dict[str, float]:
    """Return the share of right triplets over all and by type."""
    named = pd.Series(right).groupby(types.map(TYPES).to_numpy()).mean()
    by_type = {f"triplet_accuracy_{name}": float(share) for name, share in named.items()}
    return {"triplet_accuracy": float(np.mean(right))} | by_type
