"""What is kept for validation and test: fixed lists and fixed draws, the same for every model."""

import hashlib
from collections.abc import Iterable
from importlib import resources

import pandas as pd


def persons(set_name: str) -> dict[str, str]:
    """Return person -> validation or test; whoever isn't named is for training."""
    listed = resources.files(__name__) / f"{set_name}.csv"
    with listed.open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return dict(zip(table["person"], table["split"], strict=True))


def drawn(keys: Iterable[str], *, validation: float, test: float = 0.0) -> dict[str, str]:
    """Return key -> validation or test, by the keys' digests; whatever isn't named is for training.

    A key keeps its place when others come or go, but where they are so few that a split got none:
    then the first in the draw's order is taken, unless nothing would be left for training.

    Args:
        keys: persons or pictures.
        validation: share of the keys, roughly.
        test: share of the keys; with 0 none is drawn.
    """
    ordered = sorted((_uniform_of(key), key) for key in set(keys))
    tested = max(sum(rng < test for rng, _ in ordered), test > 0)
    judged = max(sum(rng < test + validation for rng, _ in ordered) - tested, 1)
    left = len(ordered) - 1
    tested = min(tested, max(0, left - 1))
    judged = min(judged, left - tested)
    places = ["test"] * tested + ["validation"] * judged
    return {key: place for (_, key), place in zip(ordered, places, strict=False)}


def _uniform_of(key: str) -> float:
    """Return a number from 0 to 1 that follows from the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48
