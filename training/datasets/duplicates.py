"""Identical pictures in several splits would let a model be tested on what it learned."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from training.datasets.cutting import Kept
from training.datasets.index import PreparedError
from training.datasets.source import Picture

RANK = {"train": 0, "validation": 1, "test": 2}
ELSEWHERE = "the same picture stands in a later split"


def pure(pictures: list[Picture], digests: list[str]) -> tuple[list[Picture], list[str]]:
    """Return the pictures without those that stand in a later split too, and notes about it.

    Test pictures all stay; validation loses what test has, train what either has.

    Args:
        pictures: of all splits.
        digests: of their bytes, in the same order.
    """
    last = _last_splits((digest, p.split) for p, digest in zip(pictures, digests, strict=True))
    stays = [RANK[p.split] == last[d] for p, d in zip(pictures, digests, strict=True)]
    lost = Counter(p.split for p, keep in zip(pictures, stays, strict=True) if not keep)
    groups = sum(count > 1 for count in Counter(digests).values())
    return [p for p, keep in zip(pictures, stays, strict=True) if keep], [
        f"{groups:,} groups of identical pictures.",
        f"{lost['train']:,} dropped from train that stand in validation or test.",
        f"{lost['validation']:,} dropped from validation that stand in test.",
    ]


def apart(pictures: list[Picture], outcomes: Sequence[Kept | str]) -> list[Kept | str]:
    """Return what became of each picture, less the crops of pictures that a later split has too.

    As `pure`, for sets whose pictures are read only when they are cut.
    """
    pairs = list(zip(pictures, outcomes, strict=True))
    last = _last_splits((kept.digest, p.split) for p, kept in pairs if isinstance(kept, Kept))
    return [
        ELSEWHERE if isinstance(kept, Kept) and RANK[p.split] < last[kept.digest] else kept
        for p, kept in pairs
    ]


def check_apart(kept: Sequence[tuple[Picture, Kept]]) -> None:
    """Refuse pictures of which a person or a picture's bytes stand in several splits.

    Raises:
        PreparedError: with the first few.
    """
    persons = ((picture.person, picture.split) for picture, _ in kept)
    digests = ((found.digest, picture.split) for picture, found in kept)
    for keys, what in ((persons, "persons"), (digests, "pictures")):
        splits = defaultdict(set)
        for key, split in keys:
            splits[key].add(split)
        torn = [str(key) for key, found in splits.items() if key is not None and len(found) > 1]
        if torn:
            first = ", ".join(sorted(torn)[:3])
            raise PreparedError(
                f"{len(torn)} {what} stand in several splits ({first}); give each a single one."
            )


def _last_splits(places: Iterable[tuple[str, str]]) -> dict[str, int]:
    last: dict[str, int] = {}
    for digest, split in places:
        last[digest] = max(last.get(digest, 0), RANK[split])
    return last
