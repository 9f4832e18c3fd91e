"""What a prepared folder holds, as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from registry.catalog import EMOTIONS
from training.datasets.pairs import count_pairs
from training.datasets.prepared import SPLITS, Prepared


def show(dest: Path) -> str:
    """Return what a prepared folder holds, in plain text.

    Raises:
        PreparedError: it isn't a prepared folder.
    """
    data = Prepared.open(dest)
    by_emotion = _count_emotions(data.index)
    lines = [f"{data.name}: {len(data.index):,} faces", by_emotion.to_string()]
    lines += _count_by_split(data, [split for split in SPLITS if split in by_emotion])
    smallest, median, largest = data.index["size_px"].quantile([0, 0.5, 1]).astype(int).tolist()
    lines.append(f"crops: {smallest} to {largest} px, median {median} px")
    return "\n".join([*lines, f"digest: {data.digest}"])


def counts(dest: Path) -> dict[str, Any]:
    """Return what a prepared folder holds, as JSON can hold it: faces by split and emotion.

    Raises:
        PreparedError: it isn't a prepared folder.
    """
    data = Prepared.open(dest)
    by_split = _count_emotions(data.index).to_dict()
    faces = {split: {str(k): int(n) for k, n in rows.items()} for split, rows in by_split.items()}
    return {"set": data.name, "digest": data.digest, "faces": faces}


def _count_emotions(index: pd.DataFrame) -> pd.DataFrame:
    """Return the number of faces by emotion and split, with their sums."""
    emotions = index["emotion"].map(dict(enumerate(EMOTIONS))).fillna("(none)")
    table = pd.crosstab(emotions, index["split"])
    columns = [split for split in SPLITS if split in table]
    rows = [e for e in (*EMOTIONS, "(none)") if e in table.index]
    table = table.loc[rows, columns]
    table.loc["all"] = table.sum()
    return table


def _count_by_split(data: Prepared, splits: list[str]) -> Iterator[str]:
    """Yield the numbers of persons, pairs and triplets by split, if there are any."""
    persons = data.index.groupby("split")["person"].nunique()
    if persons.any():
        yield "persons: " + ", ".join(f"{persons[split]:,} {split}" for split in splits)
    pairs = {split: count_pairs(data, split) for split in splits}
    if any(pairs.values()):
        counts = ", ".join(f"{count:,} {split}" for split, count in pairs.items())
        yield f"ordered pairs of one person, angle and gaze in two emotions: {counts}"
    if data.triplets is not None:
        triplets = data.triplets["split"].value_counts()
        yield "triplets: " + ", ".join(f"{count:,} {split}" for split, count in triplets.items())
