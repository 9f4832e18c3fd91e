from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from training.datasets.pairs import count_pairs, pairs
from training.datasets.prepared import Prepared

NOTHING = float("nan")


def prepared(rows: list[tuple[str | None, float, str | None, float, str]]) -> Prepared:
    columns = ["person", "angle", "gaze", "emotion", "split"]
    return Prepared(Path("nowhere"), "some", pd.DataFrame(rows, columns=columns), None)


def test_a_pair_is_one_person_and_pose_in_two_emotions_both_ways() -> None:
    data = prepared(
        [
            ("anna", 0.0, "front", 1.0, "train"),
            ("anna", 45.0, "front", 2.0, "train"),
            ("anna", 0.0, "left", 2.0, "train"),
            ("bo", 0.0, "front", 2.0, "train"),
            ("anna", 0.0, "front", 2.0, "train"),
            ("anna", 0.0, "front", 2.0, "train"),
            ("anna", 0.0, "front", NOTHING, "train"),
            ("anna", 0.0, "front", 3.0, "test"),
        ]
    )
    assert pairs(data, "train").tolist() == [[0, 4], [0, 5], [4, 0], [5, 0]]
    assert pairs(data, "test").shape == (0, 2)


def test_unknown_poses_are_equal_and_unknown_people_are_in_no_pair() -> None:
    data = prepared(
        [
            ("anna", NOTHING, None, 1.0, "train"),
            ("anna", NOTHING, None, 2.0, "train"),
            ("anna", 0.0, None, 3.0, "train"),
            (None, NOTHING, None, 1.0, "train"),
            (None, NOTHING, None, 2.0, "train"),
        ]
    )
    assert pairs(data, "train").tolist() == [[0, 1], [1, 0]]


def test_all_pairs_of_a_large_set_are_found_and_counted() -> None:
    rng = np.random.default_rng(0)
    persons, angles, gazes = ["a", "b", "c", None], [0.0, 90.0, NOTHING], ["front", None]
    rows = [
        (
            persons[rng.integers(4)],
            angles[rng.integers(3)],
            gazes[rng.integers(2)],
            [0.0, 1.0, 2.0, NOTHING][rng.integers(4)],
            ["train", "test"][rng.integers(2)],
        )
        for _ in range(300)
    ]
    data = prepared(rows)
    for split in ("train", "test"):
        expected = [
            [i, j]
            for (i, one), (j, other) in product(enumerate(rows), enumerate(rows))
            if one[4] == other[4] == split
            and one[0] is not None
            and one[0] == other[0]
            and str(one[1:3]) == str(other[1:3])
            and not np.isnan([one[3], other[3]]).any()
            and one[3] != other[3]
        ]
        assert pairs(data, split).tolist() == expected
        assert count_pairs(data, split) == len(expected) > 100
