"""Bootstrap intervals for means over triplets that share photos or persons."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

CHUNK = 50
"""Resamples computed at once; more take more memory."""


def interval(
    values: Float[np.ndarray, "triplets"],
    clusters: Int[np.ndarray, "triplets faces"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `values`, by bootstrap over photos or persons.

    The vertex bootstrap of Snijders and Borgatti (1999): photos are drawn with replacement, and a
    triplet's weight is the product of how often each of its photos was drawn. Triplets that share
    photos are not independent, and this accounts for it; if they share none, the interval is too
    wide rather than too narrow. For a paired interval, pass the difference of two models' values.

    Args:
        values: one number for each triplet, 1 where it is right.
        clusters: the number of the photo, or of the person, of each face of a triplet; a person
            with two faces in a triplet counts once in the product.
        resamples: number of bootstrap samples.
        seed: seed of the draw.
    """
    unique, inverse = np.unique(clusters, return_inverse=True)
    faces = np.sort(inverse.reshape(clusters.shape), axis=1)
    repeated = np.pad(faces[:, 1:] == faces[:, :-1], ((0, 0), (1, 0)))
    means = list(_means(values, faces, repeated, len(unique), resamples, seed))
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return float(low), float(high)


def cluster_weights(
    clusters: Int[np.ndarray, "items"], *, resamples: int = 1000, seed: int = 0
) -> Iterator[Float[np.ndarray, "chunk items"]]:
    """Yield how often each item counts when clusters are drawn with replacement, in rows.

    Args:
        clusters: the number of the photo, or of the person, of each item.
        resamples: number of bootstrap samples, a row for each.
        seed: seed of the draw.
    """
    unique, inverse = np.unique(clusters, return_inverse=True)
    rng = np.random.default_rng(seed)
    equal = np.full(len(unique), 1 / len(unique))
    for start in range(0, resamples, CHUNK):
        counts = rng.multinomial(len(unique), equal, size=min(CHUNK, resamples - start))
        yield counts[:, inverse].astype(np.float64)


def _means(
    values: np.ndarray,
    faces: np.ndarray,
    repeated: np.ndarray,
    clusters: int,
    resamples: int,
    seed: int,
) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    equal = np.full(clusters, 1 / clusters)
    for start in range(0, resamples, CHUNK):
        counts = rng.multinomial(clusters, equal, size=min(CHUNK, resamples - start))
        weights = np.where(repeated, 1, counts[:, faces]).prod(-1)
        total = weights.sum(1)
        yield from (weights @ values / np.where(total, total, np.nan)).tolist()
