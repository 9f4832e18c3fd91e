"""Which photos of a set of triplets are kept from training, when the triplets share photos."""

import numpy as np
from jaxtyping import Bool, Int, UInt64

MOST_HELD = 0.03
MOST_LOST = 0.10
"""Parts of the triplets that may become validation, and that may be lost for it."""


def held_out(
    photos: Int[np.ndarray, "triplets 3"], digests: UInt64[np.ndarray, "triplets"]
) -> Bool[np.ndarray, "photos"]:
    """Return the photos kept from training; triplets that show them beside others are lost.

    Our decision. No photo may stand in two splits, and in FEC a photo stands in 17 triplets on
    average, so that all hang together: there are no parts to hold out, and to draw photos hardly
    ever draws all three of a triplet. Hence triplets are drawn, in the order of their digests, and
    their photos are held out with them, for as long as no more than MOST_LOST of all triplets are
    lost and no more than MOST_HELD held out. Measured on drawn triplets with FEC's numbers: 10 %
    are lost and 790 held out where every face is as frequent, 520 where that differs much, so that
    80 % right is known to 3 points; to draw photos loses 27 % for 490 held out.

    Args:
        photos: of each triplet's faces, as numbers from 0.
        digests: of each triplet; the smallest is drawn first.
    """
    order = np.argsort(digests, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    drawn = np.full(photos.max(initial=-1) + 1, len(order), np.int64)
    np.minimum.at(drawn, photos, rank[:, None])
    entered = np.sort(drawn[photos], axis=1)
    touched, held = _counted(entered[:, 0]), _counted(entered[:, 2])
    allowed = (touched - held <= MOST_LOST * len(order)) & (held <= MOST_HELD * len(order))
    last = np.flatnonzero(allowed).max(initial=-1)
    return np.asarray(drawn <= last)


def _counted(ranks: Int[np.ndarray, "triplets"]) -> Int[np.ndarray, "triplets"]:
    """Return for each number of draws how many of the ranks are reached by then."""
    return np.bincount(ranks, minlength=len(ranks)).cumsum()
