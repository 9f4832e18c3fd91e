"""Identical pictures in several splits would let a model be tested on what it learned."""

from collections import Counter

from training.datasets.source import Picture

RANK = {"train": 0, "validation": 1, "test": 2}


def pure(pictures: list[Picture], digests: list[str]) -> tuple[list[Picture], list[str]]:
    """Return the pictures without those that stand in a later split too, and notes about it.

    Test pictures all stay; validation loses what test has, train what either has.

    Args:
        pictures: of all splits.
        digests: of their bytes, in the same order.
    """
    last: dict[str, int] = {}
    for picture, digest in zip(pictures, digests, strict=True):
        last[digest] = max(last.get(digest, 0), RANK[picture.split])
    stays = [RANK[p.split] == last[d] for p, d in zip(pictures, digests, strict=True)]
    lost = Counter(p.split for p, keep in zip(pictures, stays, strict=True) if not keep)
    groups = sum(count > 1 for count in Counter(digests).values())
    return [p for p, keep in zip(pictures, stays, strict=True) if keep], [
        f"{groups:,} groups of identical pictures.",
        f"{lost['train']:,} dropped from train that stand in validation or test.",
        f"{lost['validation']:,} dropped from validation that stand in test.",
    ]
