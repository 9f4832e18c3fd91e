"""Identical pictures in several splits would let a model be tested on what it learned."""

from collections import Counter
from collections.abc import Iterable, Sequence

from training.datasets.crop import StoredCrop
from training.datasets.prepared import Prepared, PreparedError
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


def apart(pictures: list[Picture], outcomes: Sequence[StoredCrop | str]) -> list[StoredCrop | str]:
    """Return what became of each picture, less the crops of pictures that a later split has too.

    As `pure`, for sets whose pictures are read only when they are cut.
    """
    pairs = list(zip(pictures, outcomes, strict=True))
    last = _last_splits((kept.digest, p.split) for p, kept in pairs if isinstance(kept, StoredCrop))
    return [
        ELSEWHERE if isinstance(kept, StoredCrop) and RANK[p.split] < last[kept.digest] else kept
        for p, kept in pairs
    ]


def check_apart(kept: Sequence[tuple[Picture, StoredCrop]]) -> None:
    """Refuse pictures of which a person or a picture's bytes stand in several splits.

    Raises:
        PreparedError: with the first few.
    """
    persons = [(p.person, p.split, p.person) for p, _ in kept if p.person is not None]
    digests = [(found.digest, p.split, p.member) for p, found in kept]
    for places, what in ((persons, "persons"), (digests, "pictures")):
        if torn := _torn(places):
            raise PreparedError(
                f"{len(torn)} {what} stand in several splits ({', '.join(sorted(torn)[:3])}); "
                "give each a single one."
            )


def check_sets_apart(sets: Sequence[Prepared]) -> None:
    """Refuse sets that are trained on together and have a picture in different splits.

    Raises:
        PreparedError: with the first few.
    """
    tables = [data.index[["digest", "split", "source"]] for data in sets]
    places = (
        (digest, split, f"{data.name}: {source}")
        for data, table in zip(sets, tables, strict=True)
        for digest, split, source in table.itertuples(index=False, name=None)
    )
    if len(sets) > 1 and (torn := _torn(places)):
        raise PreparedError(
            f"{len(torn)} pictures stand in several splits of these sets "
            f"({', '.join(sorted(torn)[:3])}); take them out of one set's source and prepare it "
            "again, or train on one of the sets."
        )


def _torn(places: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return the names of those keys that have several splits, of (key, split, name)."""
    first: dict[str, str] = {}
    torn = {key: name for key, split, name in places if first.setdefault(key, split) != split}
    return list(torn.values())


def _last_splits(places: Iterable[tuple[str, str]]) -> dict[str, int]:
    last: dict[str, int] = {}
    for digest, split in places:
        last[digest] = max(last.get(digest, 0), RANK[split])
    return last
