"""The generator's training faces: pairs of one session, and single faces; and their drivers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from registry.crops import CropSpec
from training.datasets.alignment import aligned
from training.datasets.pairs import pairs
from training.datasets.prepared import Prepared
from training.datasets.synthetic import ict_pairs
from training.loading.batches import Items

ICT_PAIRS = "ict-pairs"


class Pairs(Items):
    """Sources and targets of prepared sets: pairs of one session first, then single faces.

    A single face is its own target.

    Args:
        sets: prepared sets.
        spec: how faces are cut.
        split: split of the faces.
    """

    def __init__(self, sets: Sequence[Prepared], spec: CropSpec, split: str) -> None:
        self.pixels = [aligned(data, spec) for data in sets]
        paired = [in_one_frame(data, split) for data in sets]
        single = [np.repeat(data.split(split)[:, None], 2, axis=1) for data in sets]
        counts = [len(rows) for rows in (*paired, *single)]
        self.set = np.repeat(np.tile(np.arange(len(sets)), 2), counts)
        self.rows = np.concatenate([*paired, *single]).astype(np.int64)
        self.paired = self.rows[:, 0] != self.rows[:, 1]
        emotions = [data.index["emotion"].fillna(-1).to_numpy(dtype=int) + 1 for data in sets]
        targets = zip(self.set, self.rows[:, 1], strict=True)
        self.emotion = np.array([emotions[which][row] for which, row in targets])
        self.points = [data.points for data in sets]
        counts = [points.shape[1] for points in self.points if points is not None]
        self.point_count = max(counts, default=0)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, items: list[int]) -> dict[str, Any]:
        """Return `source` and `target` (batch, 3, h, w), uint8 RGB, and `index`, a numpy array.

        If a set has points of its faces, also `points` (batch, 2, points, 2): x and y in -1 to 1
        in source and target; NaN for the faces of other sets.
        """
        faces = {
            name: np.stack([self.pixels[self.set[i]][self.rows[i, side]] for i in items])
            for side, name in enumerate(("source", "target"))
        }
        batch: dict[str, Any] = {
            name: torch.from_numpy(v).permute(0, 3, 1, 2) for name, v in faces.items()
        }
        batch |= {"index": np.array(items)}
        return batch | ({"points": self._points(items)} if self.point_count else {})

    def _points(self, items: Sequence[int]) -> Tensor:
        batch = np.full((len(items), 2, self.point_count, 2), np.nan, dtype=np.float32)
        for i, item in enumerate(items):
            points = self.points[self.set[item]]
            if points is not None:
                batch[i, :, : points.shape[1]] = points[self.rows[item]] * 2 - 1
        return torch.from_numpy(batch)

    def weights(self, single_share: float) -> np.ndarray:
        """Return the probability of each pair and single face.

        All single faces together have `single_share`. The pairs of every set are drawn equally
        often. The single faces of an emotion of a set are drawn in proportion to the square root of
        their number, so that rare emotions come more often.
        """
        emotion = np.where(self.paired, 0, self.emotion)
        groups = pd.Series(self.set).groupby([self.set, self.paired, emotion])
        count = groups.transform("size").to_numpy(dtype=float)
        weights = 1 / np.where(self.paired, count, np.sqrt(count))
        for chosen, share in ((~self.paired, single_share), (self.paired, 1 - single_share)):
            if chosen.any():
                weights[chosen] *= share / weights[chosen].sum()
        return np.asarray(weights)


class Drivers:
    """Faces of other persons with the same expression as a face, or another one.

    Rendered people show the same if the weights of all shapes are equal; others if the emotion is.
    """

    TRIES = 8

    def __init__(self, sets: Sequence[Prepared], split: str) -> None:
        self.shown = [_shown(data, split) for data in sets]
        """For each set, the expression of each row."""
        self.person = [data.index["person"].fillna(data.index["name"]).to_numpy() for data in sets]
        self.rows = [shown.groupby(shown).indices for shown in self.shown]

    def like(self, which: int, row: int, rng: np.random.Generator) -> int:
        """Return a row of set `which` of another person with `row`'s expression, else `row`."""
        return self._draw(which, row, self.shown[which].get(row), rng)

    def other(self, which: int, row: int, rng: np.random.Generator) -> int:
        """Return a row of set `which` of another person with another expression, else `row`.

        The expression is drawn first, so that rare emotions come as often as others.
        """
        own = self.shown[which].get(row)
        others = [shown for shown in self.rows[which] if shown != own]
        if not others:
            return row
        return self._draw(which, row, others[int(rng.integers(len(others)))], rng)

    def _draw(self, which: int, row: int, shown: object, rng: np.random.Generator) -> int:
        """Return a row of another person who shows `shown`; `row` if TRIES draws find none."""
        positions = self.rows[which].get(shown, ())
        for _ in range(self.TRIES if len(positions) else 0):
            drawn = int(self.shown[which].index[positions[int(rng.integers(len(positions)))]])
            if self.person[which][drawn] != self.person[which][row]:
                return drawn
        return row


def _shown(data: Prepared, split: str) -> pd.Series:
    """Return the expressions of a split's faces, by row; rows with unknown ones are left out."""
    index = data.index.iloc[data.split(split)]
    shown = (
        index["name"].map(ict_pairs.expression_of) if data.name == ICT_PAIRS else index["emotion"]
    )
    return shown.dropna()


def in_one_frame(data: Prepared, split: str) -> Int[np.ndarray, "pairs 2"]:
    """Return the pairs of sessions whose angle is known, so that pixels can be compared."""
    found = pairs(data, split)
    known = data.index["angle"].notna().to_numpy()
    return np.asarray(found[known[found[:, 0]]])
