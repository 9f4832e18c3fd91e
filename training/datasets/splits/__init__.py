"""Which persons and pictures are for validation and test: fixed lists and repeatable draws."""

import hashlib
from collections.abc import Iterable
from importlib import resources

import pandas as pd


def person_splits(set_name: str) -> dict[str, str]:
    """Return person -> validation or test, from a list in this folder; all others are for training.

    Args:
        set_name: name of the list: lfw_emotion or london.
    """
    file = resources.files(__name__) / f"{set_name}.csv"
    with file.open(encoding="utf-8") as opened:
        table = pd.read_csv(opened, dtype=str, keep_default_na=False)
    return dict(zip(table["person"], table["split"], strict=True))


def draw_splits(keys: Iterable[str], *, validation: float, test: float = 0.0) -> dict[str, str]:
    """Return key -> validation or test, drawn by the keys' digests; all others are for training.

    A key keeps its split when other keys are added or removed. The exception is a set so small
    that a split would be empty: then it gets the first keys in the order of the draw, as long as
    one is left for training.

    Args:
        keys: persons or pictures.
        validation: expected share of the keys for validation.
        test: expected share of the keys for the test; with 0 none is drawn.
    """
    ordered = sorted((_uniform_from(key), key) for key in set(keys))
    test_count = max(sum(number < test for number, _ in ordered), test > 0)
    validation_count = max(sum(number < test + validation for number, _ in ordered) - test_count, 1)
    available = len(ordered) - 1
    test_count = min(test_count, max(0, available - 1))
    validation_count = min(validation_count, available - test_count)
    splits = ["test"] * test_count + ["validation"] * validation_count
    return {key: split for (_, key), split in zip(ordered, splits, strict=False)}


def _uniform_from(key: str) -> float:
    """Return a number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48
