"""The outcome of each triplet and each pair of a set, in one table: docs/formats.md."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from training.datasets import fixed_triplets
from training.datasets.prepared import Prepared
from training.metrics import identity_trials
from training.metrics.triplet_accuracy import TYPES, odd_distances, outcomes

TRIPLET = "triplet"
PAIRS = (identity_trials.ACROSS, identity_trials.ALIKE)
Columns = dict[str, Sequence[object] | np.ndarray]
DTYPES = {
    "kind": "string",
    "type": "string",
    **{f"{what}_{i}": "string" for what in ("name", "person") for i in (1, 2, 3)},
    **{f"votes_{i}": "Int32" for i in (1, 2, 3)},
    "answer": "Int8",
    "found": "Int8",
    "right": "boolean",
    "margin": "Float32",
    "same_person": "boolean",
    "distance": "Float32",
}
"""Columns of the table; docs/formats.md describes them."""


def embedding_items(
    vectors: Float[np.ndarray, "faces dims"], data: Prepared, split: str
) -> pd.DataFrame:
    """Return a row for each fixed triplet with an answer, and for each identity trial.

    Args:
        vectors: a vector for each row of the set's index that these name.
        data: a prepared set.
        split: train, validation or test.

    Returns:
        The columns of DTYPES, empty where they don't apply. Pairs have two faces.
    """
    trials = identity_trials.trials(data, split)
    tables = [_fixed(vectors, data, split)]
    for kind in (identity_trials.ADVERSARIAL, identity_trials.THREE_PEOPLE):
        rows = _rows(trials, kind, 3)
        third = np.full(len(rows), 3, dtype=np.int64)
        people = data.index["person"].to_numpy()[rows]
        tables.append(_of_kind(kind, data, rows, people) | _answers(vectors, rows, third))
    for kind in PAIRS:
        rows = _rows(trials, kind, 2)
        apart = np.linalg.norm(vectors[rows[:, 0]] - vectors[rows[:, 1]], axis=1)
        same = trials["same_person"][trials["kind"] == kind].to_numpy(dtype=bool)
        people = data.index["person"].to_numpy()[rows]
        table = _of_kind(kind, data, rows, people)
        tables.append(table | {"same_person": same, "distance": apart})
    frames = [pd.DataFrame(table, columns=list(DTYPES)).astype(DTYPES) for table in tables]
    return pd.concat(frames, ignore_index=True)


def _fixed(vectors: np.ndarray, data: Prepared, split: str) -> Columns:
    """Return the set's own triplets, with the votes of the annotators where they are known."""
    table, faces = fixed_triplets.listed(data, split)
    answered = table["answer"].notna().to_numpy()
    table, faces = table[answered], faces[answered]
    if not len(faces):
        return {"kind": []}
    clusters = fixed_triplets.clusters(data, faces)
    by_person = not np.array_equal(clusters, faces)
    people = data.index["person"].to_numpy()[faces] if by_person else None
    found = _of_kind(TRIPLET, data, faces, people)
    found["type"] = table["type"].map(TYPES).tolist()
    if data.answers is not None:
        of_triplet = data.answers.groupby(["triplet", "answer"]).size().unstack(fill_value=0)
        votes = of_triplet.reindex(table.index, fill_value=0)
        found |= {f"votes_{i}": votes.get(i, pd.Series(0, votes.index)).tolist() for i in (1, 2, 3)}
    return found | _answers(vectors, faces, table["answer"].to_numpy(dtype=np.int64))


def _of_kind(
    kind: str, data: Prepared, rows: Int[np.ndarray, "items faces"], people: np.ndarray | None
) -> Columns:
    """Return kind, names and persons; without `people` the photos are independent."""
    names = data.index["name"].to_numpy()[rows]
    found: Columns = {"kind": [kind] * len(rows)}
    for i in range(rows.shape[1]):
        found[f"name_{i + 1}"] = names[:, i]
        if people is not None:
            found[f"person_{i + 1}"] = people[:, i]
    return found


def _answers(
    vectors: np.ndarray, faces: Int[np.ndarray, "triplets 3"], odd: Int[np.ndarray, "triplets"]
) -> Columns:
    """Return the odd face that people name and that the vectors find, and by how much.

    `margin` is how much nearer the pair that people chose is than the nearer of the other two
    pairs; above 0 it is right. `found` is 0 where no pair is nearer than both others.
    """
    if not len(faces):
        return {}
    apart = odd_distances(vectors, faces)
    chosen = np.take_along_axis(apart, odd[:, None] - 1, axis=1)[:, 0]
    others = np.where(np.arange(3) == odd[:, None] - 1, np.inf, apart).min(1)
    nearest = apart.min(1)
    alone = (apart == nearest[:, None]).sum(1) == 1
    return {
        "answer": odd,
        "found": np.where(alone, apart.argmin(1) + 1, 0),
        "right": outcomes(vectors, faces, odd),
        "margin": (others - chosen).astype(np.float32),
    }


def _rows(trials: pd.DataFrame, kind: str, width: int) -> Int[np.ndarray, "trials width"]:
    found = trials["rows"][trials["kind"] == kind].tolist()
    return np.array(found, dtype=np.int64).reshape(-1, width)
