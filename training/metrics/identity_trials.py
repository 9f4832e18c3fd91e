"""Pairs and triplets of people on which an embedding is tested for leaked identity.

    python -m training.metrics.identity_trials data/london data/lfw-emotion data/ict

draws the lists in training/datasets/lists again (they hold names only).
"""

import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from training.datasets.prepared import Prepared

ACROSS, ALIKE = "across", "alike"
"""Pairs with different expressions, and pairs with the same."""
ADVERSARIAL, THREE_PEOPLE = "adversarial", "three_people"
FACES = ["name_1", "name_2", "name_3"]
COLUMNS = ["split", "kind", "same_person", *FACES]
PAIRS_OF_PERSON = 10
OTHERS_OF_PAIR = 5
MOST_TRIPLETS = 3000
FRUITLESS_DRAWS = 300
"""Number of draws in a row without a new triplet after which drawing stops."""
LISTS = resources.files("training.datasets") / "lists"


@lru_cache(maxsize=16)
def trials(data: Prepared, split: str) -> pd.DataFrame:
    """Return the trials of a set's people in `split`: from the shipped list, else drawn now.

    Columns: `kind`, `same_person` (of pairs) and `rows` of the index, two for a pair, three for a
    triplet whose third face is the odd one. A trial with a face that isn't in the set is left out;
    a set without persons has none.
    """
    shipped = LISTS / f"people_{data.name}.parquet"
    if shipped.is_file():
        with shipped.open("rb") as file:
            table = pd.read_parquet(file)
    else:
        table = draw_trials(data.index, split)
    table = table[table["split"] == split]
    row_of = dict(zip(data.index["name"], range(len(data.index)), strict=True))
    rows = [
        [row_of.get(name, -1) for name in names if isinstance(name, str)]
        for names in table[FACES].itertuples(index=False)
    ]
    table = table.assign(rows=pd.Series(rows, index=table.index, dtype=object))
    complete = np.array([min(faces) >= 0 for faces in rows], dtype=bool)
    return table[complete].reset_index(drop=True)


def draw_trials(index: pd.DataFrame, split: str, seed: int = 0) -> pd.DataFrame:
    """Return trials of the people of one split, drawn with `seed`.

    - across: one person in two expressions, against two people in the same two.
    - alike: one person twice with one expression, against two people with it.
    - adversarial: two people with one expression, and the first of them with another.
    - three_people: the same with a third person for the odd face.

    At most 10 pairs for each person, 5 pairs of two people for each of these, and 3,000 triplets of
    a kind. The first person of a triplet is drawn uniformly, whatever their number of pictures.
    """
    usable = (index["split"] == split) & index["person"].notna() & index["emotion"].notna()
    people = _People(index[usable], np.random.default_rng(seed))
    rows = [*people.pairs(), *people.triplets(ADVERSARIAL), *people.triplets(THREE_PEOPLE)]
    return pd.DataFrame([(split, *row) for row in rows], columns=COLUMNS)


class _People:
    """Labelled pictures of persons, to draw from."""

    def __init__(self, index: pd.DataFrame, rng: np.random.Generator) -> None:
        self.rng = rng
        self.names = index["name"].to_numpy()
        self.person = index["person"].to_numpy()
        self.emotion = index["emotion"].to_numpy(dtype=np.int64)
        rows = pd.Series(np.arange(len(index)))
        self.of_person = {p: each.to_numpy() for p, each in rows.groupby(self.person)}
        self.of_emotion = {e: np.flatnonzero(self.emotion == e) for e in set(self.emotion.tolist())}

    def pairs(self) -> Iterator[tuple[object, ...]]:
        """Yield pairs of one person, each followed by similar pairs of two people."""
        for rows in self.of_person.values():
            both = np.array(list(combinations(rows, 2)), dtype=np.int64).reshape(-1, 2)
            alike = self.emotion[both[:, 0]] == self.emotion[both[:, 1]]
            for kind, of_kind in ((ACROSS, both[~alike]), (ALIKE, both[alike])):
                for pair in self.rng.permutation(of_kind)[:PAIRS_OF_PERSON]:
                    first, second = self.rng.permutation(pair).tolist()
                    others = self._others(first, int(self.emotion[second]))
                    if len(others):
                        yield kind, True, self.names[first], self.names[second], None
                        for other in self.rng.permutation(others)[:OTHERS_OF_PAIR]:
                            yield kind, False, self.names[first], self.names[other], None

    def triplets(self, kind: str) -> Iterator[tuple[object, ...]]:
        """Yield distinct triplets; the third face is the odd one."""
        found: dict[tuple[int, ...], None] = {}
        persons, fruitless = list(self.of_person), 0
        while len(found) < MOST_TRIPLETS and fruitless < FRUITLESS_DRAWS and persons:
            person = persons[self.rng.integers(len(persons))]
            triplet = self._triplet(kind, self.of_person[person])
            fruitless = fruitless + 1 if triplet is None or triplet in found else 0
            if triplet:
                found[triplet] = None
        for triplet in found:
            yield kind, None, *self.names[list(triplet)]

    def _triplet(self, kind: str, of_person: Int[np.ndarray, "rows"]) -> tuple[int, ...] | None:
        anchor = self._one(of_person)
        positives = self._others(anchor, int(self.emotion[anchor]))
        if kind == ADVERSARIAL:
            negatives = of_person[self.emotion[of_person] != self.emotion[anchor]]
        else:
            negatives = np.flatnonzero(self.emotion != self.emotion[anchor])
            negatives = negatives[self.person[negatives] != self.person[anchor]]
        if not len(positives) or not len(negatives):
            return None
        positive, negative = self._one(positives), self._one(negatives)
        if kind == THREE_PEOPLE and self.person[positive] == self.person[negative]:
            return None
        return anchor, positive, negative

    def _others(self, row: int, emotion: int) -> Int[np.ndarray, "rows"]:
        rows = self.of_emotion[emotion]
        others: np.ndarray = rows[self.person[rows] != self.person[row]]
        return others

    def _one(self, rows: Int[np.ndarray, "rows"]) -> int:
        return int(rows[self.rng.integers(len(rows))])


def main(folders: list[str]) -> None:
    """Write the shipped lists of some prepared sets, for validation and test."""
    for folder in folders:
        data = Prepared.open(folder)
        table = pd.concat([draw_trials(data.index, split) for split in ("validation", "test")])
        path = Path(str(LISTS / f"people_{data.name}.parquet"))
        table.to_parquet(path, index=False, compression="zstd")
        counts = table.groupby(["split", "kind"]).size().to_dict()
        sys.stdout.write(f"{path.name}: {counts}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
