from pathlib import Path

import numpy as np

from tests.training.datasets.fec.rows import flickr, row, write_parts
from training.datasets.fec import reader
from training.datasets.fec.fec_csv import TYPES
from training.datasets.fec.held_out import (
    LARGEST_DROPPED_SHARE,
    LARGEST_VALIDATION_SHARE,
    draw_held_out,
)


def test_photos_of_both_files_are_test_photos_and_no_photo_is_in_two_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [row(flickr(*rng.choice(3000, 3, replace=False).tolist())) for _ in range(1500)]
    rows += [row(flickr(n, n + 1, n + 2), kind=TYPES[1]) for n in range(4000, 4900, 3)]
    tested = [row(flickr(n, n + 10, n + 20)) for n in range(10)]
    dataset = reader.read(write_parts(tmp_path / "fec", train=rows, test=tested))
    found = dataset.triplets
    assert found.faces.groupby("url")["split"].nunique().max() == 1
    split = found.faces.set_index("name")["split"]
    assert (split[found.faces["name"][found.faces["url"].isin(flickr(0, 10, 20))]] == "test").all()
    for i in (1, 2, 3):
        assert (found.table[f"name_{i}"].map(split) == found.table["split"]).all()
    counts = found.table["split"].value_counts()
    assert counts["test"] == 10
    assert (
        0.5 * LARGEST_VALIDATION_SHARE * 1800
        < counts["validation"]
        <= LARGEST_VALIDATION_SHARE * 1800
    )
    dropped = 1810 - counts.sum()
    assert any(note.startswith(f"{dropped:,} triplets dropped") for note in dataset.notes)


def test_held_out_photos_are_bounded_and_do_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(1)
    photos = rng.integers(0, 2000, (10_000, 3))
    digests = rng.integers(0, 2**63, len(photos)).astype(np.uint64)
    held = draw_held_out(photos, digests)
    inside = held[photos].sum(axis=1)
    assert 0 < (inside == 3).sum() <= LARGEST_VALIDATION_SHARE * len(photos)
    dropped = ((inside > 0) & (inside < 3)).mean()
    assert 0.9 * LARGEST_DROPPED_SHARE < dropped <= LARGEST_DROPPED_SHARE
    order = rng.permutation(len(photos))
    assert (draw_held_out(photos[order], digests[order]) == held).all()
    assert draw_held_out(np.empty((0, 3), int), np.empty(0, np.uint64)).tolist() == []
