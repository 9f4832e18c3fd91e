"""How often the nearest pair of a triplet is the pair that people chose."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from registry.metrics.estimates import Quantity, TripletAccuracy

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
    apart = odd_distances(embeddings, faces)
    is_odd = np.arange(3) == odd[:, None] - 1
    pair = apart[is_odd]
    right: np.ndarray = (apart > pair[:, None]).sum(1) == 2
    return right


def odd_distances(
    embeddings: Float[np.ndarray, "faces dims"], faces: Int[np.ndarray, "triplets 3"]
) -> Float[np.ndarray, "triplets 3"]:
    """Return for each face of a triplet the distance between the other two.

    Args:
        embeddings: one vector for each face.
        faces: rows of the three faces.
    """
    a, b, c = embeddings[faces.T]
    pairs = ((b, c), (a, c), (a, b))
    return np.stack([np.linalg.norm(one - other, axis=1) for one, other in pairs], axis=1)


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
