"""Intervals against a plain loop, and against what they promise."""

import numpy as np
import pytest

from training.triplets.intervals import interval


def test_the_interval_is_the_vertex_bootstraps() -> None:
    luck = np.random.default_rng(1)
    photos, triplets = 12, 40
    faces = np.array([luck.choice(photos, 3, replace=False) for _ in range(triplets)])
    faces[0] = (4, 4, 7)  # a person seen twice counts once
    values = luck.random(triplets)
    draws, means = np.random.default_rng(0), []
    for counts in draws.multinomial(12, np.full(12, 1 / 12), size=50):
        above = below = 0.0
        for value, three in zip(values, faces, strict=True):
            weight = 1
            for face in set(three.tolist()):
                weight *= int(counts[face])
            above, below = above + weight * value, below + weight
        means.append(above / below)
    expected = np.percentile(means, [2.5, 97.5])
    assert interval(values, faces, resamples=50) == pytest.approx(tuple(expected))


def test_shared_photos_widen_it_and_the_truth_lies_inside() -> None:
    luck = np.random.default_rng(2)
    hard = luck.random(60) < 0.3

    def asked(photos: int) -> tuple[float, float]:
        faces = np.array([luck.choice(photos, 3, replace=False) for _ in range(2000)])
        wrong = hard[faces % 60].any(1)
        low, high = interval((~wrong).astype(float), faces, resamples=300)
        return low, high

    few_low, few_high = asked(60)
    many_low, many_high = asked(6000)
    assert few_high - few_low > 2 * (many_high - many_low)
    assert few_low < (1 - hard.mean()) ** 3 < few_high


def test_no_difference_gives_zero() -> None:
    assert interval(np.zeros(9), np.arange(27).reshape(9, 3), resamples=20) == (0.0, 0.0)
