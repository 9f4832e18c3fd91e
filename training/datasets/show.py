"""What a prepared folder holds, for people."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from registry.catalog import EMOTIONS
from training.datasets.pairs import number_of_pairs
from training.datasets.prepared import SPLITS, Prepared


def show(dest: Path) -> str:
    """Return what a prepared folder holds, in plain text.

    Raises:
        PreparedError: it isn't a prepared folder.
    """
    data = Prepared.open(dest)
    by_emotion = _by_emotion(data.index)
    lines = [f"{data.name}: {len(data.index):,} faces", by_emotion.to_string()]
    lines += _counted(data, [split for split in SPLITS if split in by_emotion])
    sizes = data.index["size_px"].quantile([0, 0.5, 1]).astype(int).tolist()
    lines.append(f"crops: {sizes[0]} to {sizes[2]} px, median {sizes[1]} px")
    return "\n".join([*lines, f"digest: {data.digest}"])


def _by_emotion(index: pd.DataFrame) -> pd.DataFrame:
    """Return the number of faces by emotion and split, with their sums."""
    emotions = index["emotion"].map(dict(enumerate(EMOTIONS))).fillna("(none)")
    table = pd.crosstab(emotions, index["split"])
    columns = [split for split in SPLITS if split in table]
    rows = [e for e in (*EMOTIONS, "(none)") if e in table.index]
    table = table.loc[rows, columns]
    table.loc["all"] = table.sum()
    return table


def _counted(data: Prepared, splits: list[str]) -> Iterator[str]:
    """Say by split how many persons, pairs and triplets there are, where there are any."""
    persons = data.index.groupby("split")["person"].nunique()
    if persons.any():
        yield "persons: " + ", ".join(f"{persons[split]:,} {split}" for split in splits)
    paired = {split: number_of_pairs(data, split) for split in splits}
    if any(paired.values()):
        said = ", ".join(f"{count:,} {split}" for split, count in paired.items())
        yield f"ordered pairs of one person, angle and gaze in two emotions: {said}"
    if data.triplets is not None:
        counted = data.triplets["split"].value_counts()
        yield "triplets: " + ", ".join(f"{count:,} {split}" for split, count in counted.items())
