"""How far a share of right triplets may be off by the choice of photos."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

CHUNK = 50
"""Resamples weighed at once, for the memory's sake."""


def interval(
    values: Float[np.ndarray, "triplets"],
    clusters: Int[np.ndarray, "triplets faces"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `values`, by bootstrap over photos or persons.

    The vertex bootstrap of Snijders and Borgatti (1999): photos are drawn with replacement, and a
    triplet counts as often as its photos come together, the product of their counts. Triplets that
    share photos are no independent evidence, which this respects; where they share none it errs on
    the wide side. Give the difference of two models' outcomes for a paired interval.

    Args:
        values: one number a triplet, 1 where it is right.
        clusters: which photo, or which person, each face of a triplet belongs to; a person who
            stands in a triplet twice counts once.
        resamples: how often photos are drawn.
        seed: of the draw.
    """
    known, where = np.unique(clusters, return_inverse=True)
    faces = np.sort(where.reshape(clusters.shape), axis=1)
    again = np.pad(faces[:, 1:] == faces[:, :-1], ((0, 0), (1, 0)))
    means = list(_means(values, faces, again, len(known), resamples, seed))
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return float(low), float(high)


def _means(
    values: np.ndarray,
    faces: np.ndarray,
    again: np.ndarray,
    clusters: int,
    resamples: int,
    seed: int,
) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    even = np.full(clusters, 1 / clusters)
    for start in range(0, resamples, CHUNK):
        counts = rng.multinomial(clusters, even, size=min(CHUNK, resamples - start))
        weights = np.where(again, 1, counts[:, faces]).prod(-1)
        total = weights.sum(1)
        yield from (weights @ values / np.where(total, total, np.nan)).tolist()
