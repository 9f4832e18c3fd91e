"""Fixed triplets of a prepared set, as rows of its index."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from training.datasets.prepared import Prepared

FEWEST_PERSONS = 20
FACES = ["name_1", "name_2", "name_3"]


def fixed(data: Prepared, split: str) -> tuple[pd.DataFrame, Int[np.ndarray, "triplets 3"]]:
    """Return the set's triplets of `split` and the rows of their faces; none where it has no list.

    Triplets with a face that is not in the set, or on which too few people agree, are left out.
    """
    table, faces = asked(data, split)
    agreed = table["answer"].notna().to_numpy()
    return table[agreed].reset_index(drop=True), faces[agreed]


def asked(data: Prepared, split: str) -> tuple[pd.DataFrame, Int[np.ndarray, "triplets 3"]]:
    """Return the same numbered like the set's table, with those on which too few people agree."""
    if data.triplets is None:
        nothing = pd.DataFrame({"type": [], "answer": []}, dtype=object)
        return nothing, np.zeros((0, 3), dtype=np.int64)
    chosen = data.triplets[data.triplets["split"] == split]
    row = pd.Series(np.arange(len(data.index)), index=data.index["name"])
    rows = np.stack([chosen[name].map(row).to_numpy(dtype=float) for name in FACES], axis=1)
    known = ~np.isnan(rows).any(1)
    return chosen[known], rows[known].astype(np.int64)


def clusters(data: Prepared, faces: Int[np.ndarray, "triplets 3"]) -> Int[np.ndarray, "triplets 3"]:
    """Return which person each face is of, for intervals over persons.

    Which photo, where the set doesn't know persons, or so few that drawing them says nothing.
    """
    person = data.index["person"].iloc[np.unique(faces)]
    if person.isna().any() or person.nunique() < FEWEST_PERSONS:
        return faces
    codes: np.ndarray = pd.factorize(data.index["person"])[0][faces]
    return codes
