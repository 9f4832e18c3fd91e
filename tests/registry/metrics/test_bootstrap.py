"""Intervals against a plain loop, and against the true value they should contain."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from registry.metrics.bootstrap import interval
from training.datasets.fixed_triplets import clusters
from training.datasets.prepared import Prepared


def test_the_interval_is_the_vertex_bootstraps() -> None:
    rng = np.random.default_rng(1)
    photos, triplets = 12, 40
    faces = np.array([rng.choice(photos, 3, replace=False) for _ in range(triplets)])
    faces[0] = (4, 4, 7)  # a person with two faces counts once
    values = rng.random(triplets)
    draws, means = np.random.default_rng(0), []
    for counts in draws.multinomial(12, np.full(12, 1 / 12), size=50):
        above = below = 0.0
        for value, triplet in zip(values, faces, strict=True):
            weight = 1
            for face in set(triplet.tolist()):
                weight *= int(counts[face])
            above, below = above + weight * value, below + weight
        means.append(above / below)
    expected = np.percentile(means, [2.5, 97.5])
    assert interval(values, faces, resamples=50) == pytest.approx(tuple(expected))


def test_shared_photos_widen_the_interval_and_it_contains_the_true_value() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(60) < 0.3

    def sampled(photos: int) -> tuple[float, float]:
        faces = np.array([rng.choice(photos, 3, replace=False) for _ in range(2000)])
        wrong = hard[faces % 60].any(1)
        low, high = interval((~wrong).astype(float), faces, resamples=300)
        return low, high

    few_low, few_high = sampled(60)
    many_low, many_high = sampled(6000)
    assert few_high - few_low > 2 * (many_high - many_low)
    assert few_low < (1 - hard.mean()) ** 3 < few_high


def test_persons_are_drawn_if_there_are_enough_of_them() -> None:
    def drawn(people: list[str | None]) -> list[int]:
        data = Prepared(Path(), "toy", pd.DataFrame({"person": people}), None)
        faces = np.arange(len(people) // 3 * 3).reshape(-1, 3)
        return clusters(data, faces).ravel().tolist()

    many = [f"person {i // 2}" for i in range(60)]
    assert drawn(many) == [i // 2 for i in range(60)]
    assert drawn(many[:30]) == list(range(30))
    assert drawn([*many[:-1], None]) == list(range(60))


def test_the_interval_of_no_difference_is_zero() -> None:
    assert interval(np.zeros(9), np.arange(27).reshape(9, 3), resamples=20) == (0.0, 0.0)
