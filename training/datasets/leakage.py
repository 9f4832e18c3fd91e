"""Keeps each picture and person in a single split, so that no test shows training data."""

from collections import Counter
from collections.abc import Iterable, Sequence

from training.datasets.crop import StoredCrop
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.source import PictureRecord

SPLIT_ORDER = {"train": 0, "validation": 1, "test": 2}
"""A picture in several splits stays in the last of them."""
IN_LATER_SPLIT = "the same picture is in a later split"


def remove_leaked_pictures(
    pictures: list[PictureRecord], digests: list[str]
) -> tuple[list[PictureRecord], list[str]]:
    """Return the pictures without those that are in a later split too, and notes for the report.

    Test pictures all stay; validation loses what test has, train what either has.

    Args:
        pictures: of all splits.
        digests: digests of their bytes, in the same order.
    """
    latest = _latest_splits((digest, p.split) for p, digest in zip(pictures, digests, strict=True))
    stays = [SPLIT_ORDER[p.split] == latest[d] for p, d in zip(pictures, digests, strict=True)]
    removed = Counter(p.split for p, stay in zip(pictures, stays, strict=True) if not stay)
    groups = sum(count > 1 for count in Counter(digests).values())
    return [p for p, stay in zip(pictures, stays, strict=True) if stay], [
        f"{groups:,} groups of identical pictures.",
        f"{removed['train']:,} dropped from train that are also in validation or test.",
        f"{removed['validation']:,} dropped from validation that are also in test.",
    ]


def drop_leaked_crops(
    pictures: list[PictureRecord], outcomes: Sequence[StoredCrop | str]
) -> list[StoredCrop | str]:
    """Return the outcomes; a crop whose picture is in a later split too becomes IN_LATER_SPLIT.

    Like `remove_leaked_pictures`, for sets whose pictures are read only when they are cropped.

    Args:
        pictures: of all splits.
        outcomes: for each picture, its crop or why there is none.
    """
    pairs = list(zip(pictures, outcomes, strict=True))
    latest = _latest_splits(
        (crop.digest, p.split) for p, crop in pairs if isinstance(crop, StoredCrop)
    )
    return [
        IN_LATER_SPLIT
        if isinstance(crop, StoredCrop) and SPLIT_ORDER[p.split] < latest[crop.digest]
        else crop
        for p, crop in pairs
    ]


def check_splits_disjoint(crops: Sequence[tuple[PictureRecord, StoredCrop]]) -> None:
    """Refuse a set in which a person or a picture's bytes are in several splits.

    Raises:
        PreparedError: with the first few.
    """
    persons = [(p.person, p.split, p.person) for p, _ in crops if p.person is not None]
    digests = [(crop.digest, p.split, p.member) for p, crop in crops]
    for places, what in ((persons, "persons"), (digests, "pictures")):
        if shared := _in_several_splits(places):
            raise PreparedError(
                f"{len(shared)} {what} are in several splits ({', '.join(sorted(shared)[:3])}); "
                "give each a single split."
            )


def check_sets_disjoint(sets: Sequence[Prepared]) -> None:
    """Refuse sets that have the same picture in different splits.

    Raises:
        PreparedError: with the first few.
    """
    tables = [data.index[["digest", "split", "source"]] for data in sets]
    places = (
        (digest, split, f"{data.name}: {source}")
        for data, table in zip(sets, tables, strict=True)
        for digest, split, source in table.itertuples(index=False, name=None)
    )
    if len(sets) > 1 and (shared := _in_several_splits(places)):
        raise PreparedError(
            f"{len(shared)} pictures are in several splits of these sets "
            f"({', '.join(sorted(shared)[:3])}); take them out of one set's source and prepare it "
            "again, or train on one of the sets."
        )


def _in_several_splits(places: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return the names of the keys that are in several splits; `places` are (key, split, name)."""
    first: dict[str, str] = {}
    several = {key: name for key, split, name in places if first.setdefault(key, split) != split}
    return list(several.values())


def _latest_splits(places: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the latest split of each digest, as in SPLIT_ORDER; `places` are (digest, split)."""
    latest: dict[str, int] = {}
    for digest, split in places:
        latest[digest] = max(latest.get(digest, 0), SPLIT_ORDER[split])
    return latest
