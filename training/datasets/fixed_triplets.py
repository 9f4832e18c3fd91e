"""Fixed triplets of a prepared set, as rows of its index."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from training.datasets.prepared import Prepared

FEWEST_PERSONS = 20
FACES = ["name_1", "name_2", "name_3"]


def answered(data: Prepared, split: str) -> tuple[pd.DataFrame, Int[np.ndarray, "triplets 3"]]:
    """Return the set's triplets of `split` and the rows of their faces; empty if it has none.

    Triplets with a face that is not in the set, or on which too few people agree, are left out.
    """
    table, faces = listed(data, split)
    has_answer = table["answer"].notna().to_numpy()
    return table[has_answer].reset_index(drop=True), faces[has_answer]


def listed(data: Prepared, split: str) -> tuple[pd.DataFrame, Int[np.ndarray, "triplets 3"]]:
    """Like `answered`, with the triplets on which too few people agree, numbered as in the set."""
    if data.triplets is None:
        empty = pd.DataFrame({"type": [], "answer": []}, dtype=object)
        return empty, np.zeros((0, 3), dtype=np.int64)
    table = data.triplets[data.triplets["split"] == split]
    row_of = pd.Series(np.arange(len(data.index)), index=data.index["name"])
    rows = np.stack([table[name].map(row_of).to_numpy(dtype=float) for name in FACES], axis=1)
    complete = ~np.isnan(rows).any(1)
    return table[complete], rows[complete].astype(np.int64)


def clusters(data: Prepared, faces: Int[np.ndarray, "triplets 3"]) -> Int[np.ndarray, "triplets 3"]:
    """Return the number of the person of each face, for intervals by bootstrap over persons.

    The row of the photo instead, if a person is unknown or there are fewer than 20 persons.
    """
    person = data.index["person"].iloc[np.unique(faces)]
    if person.isna().any() or person.nunique() < FEWEST_PERSONS:
        return faces
    codes: np.ndarray = pd.factorize(data.index["person"])[0][faces]
    return codes
