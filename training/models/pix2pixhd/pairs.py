"""What the generator learns from: two faces of a sitting, or one face that is to stay as it is."""

from collections.abc import Sequence

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
    """Sources and targets of prepared sets: pairs of a sitting first, then single faces.

    Args:
        sets: prepared sets.
        spec: how faces are cut.
        split: whose faces.
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
        shown = zip(self.set, self.rows[:, 1], strict=True)
        self.emotion = np.array([emotions[which][row] for which, row in shown])
        self.points = [data.points for data in sets]
        known = [points.shape[1] for points in self.points if points is not None]
        self.point_count = max(known, default=0)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, items: list[int]) -> dict[str, Tensor]:
        """Return `source` and `target` (batch, 3, h, w), uint8 RGB, and `index`.

        Where a set knows points of its faces, also `points` (batch, 2, points, 2): x and y in -1 to
        1 in source and target; not numbers for the faces of other sets.
        """
        faces = {
            name: np.stack([self.pixels[self.set[i]][self.rows[i, side]] for i in items])
            for side, name in enumerate(("source", "target"))
        }
        batch = {name: torch.from_numpy(v).permute(0, 3, 1, 2) for name, v in faces.items()}
        batch |= {"index": torch.tensor(items)}
        return batch | ({"points": self._points(items)} if self.point_count else {})

    def _points(self, items: Sequence[int]) -> Tensor:
        places = np.full((len(items), 2, self.point_count, 2), np.nan, dtype=np.float32)
        for i, item in enumerate(items):
            known = self.points[self.set[item]]
            if known is not None:
                places[i, :, : known.shape[1]] = known[self.rows[item]] * 2 - 1
        return torch.from_numpy(places)

    def weights(self, single_share: float) -> np.ndarray:
        """Return how often each is drawn: `single_share` of all are single faces.

        Every set's pairs are drawn equally often. Of the single faces, each emotion of each set is
        drawn as often as the root of its count says, so that rare ones come more often.
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
    """Other persons' faces that show what a face shows, as well as its set can tell.

    Of rendered people the very same weights of the same shapes; else the same emotion.
    """

    TRIES = 8

    def __init__(self, sets: Sequence[Prepared], split: str) -> None:
        self.shown = [_shown(data, split) for data in sets]
        self.person = [data.index["person"].fillna(data.index["name"]).to_numpy() for data in sets]
        self.rows = [shown.groupby(shown).indices for shown in self.shown]

    def like(self, which: int, row: int, rng: np.random.Generator) -> int:
        """Return a row of set `which` where somebody else shows what `row` shows, else `row`."""
        return self._one(which, row, self.shown[which].get(row), rng)

    def other(self, which: int, row: int, rng: np.random.Generator) -> int:
        """Return a row of set `which` where somebody else shows anything else, else `row`.

        What is shown is drawn first: rare emotions come as often as others.
        """
        here = self.shown[which].get(row)
        known = [shown for shown in self.rows[which] if shown != here]
        return self._one(which, row, known[int(rng.integers(len(known)))], rng) if known else row

    def _one(self, which: int, row: int, shown: object, rng: np.random.Generator) -> int:
        places = self.rows[which].get(shown, ())
        for _ in range(self.TRIES if len(places) else 0):
            drawn = int(self.shown[which].index[places[int(rng.integers(len(places)))]])
            if self.person[which][drawn] != self.person[which][row]:
                return drawn
        return row


def _shown(data: Prepared, split: str) -> pd.Series:
    """Return what the faces of a split show, by row; without those of which it isn't known."""
    index = data.index.iloc[data.split(split)]
    shown = (
        index["name"].map(ict_pairs.expression_of) if data.name == ICT_PAIRS else index["emotion"]
    )
    return shown.dropna()


def in_one_frame(data: Prepared, split: str) -> Int[np.ndarray, "pairs 2"]:
    """Return the pairs of sittings whose pose is known: their pixels can be compared."""
    found = pairs(data, split)
    known = data.index["angle"].notna().to_numpy()
    return np.asarray(found[known[found[:, 0]]])
