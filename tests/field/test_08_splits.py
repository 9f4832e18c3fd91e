"""Outer folders that are splits are splits, never persons: no pairs are made of strangers."""

from collections import Counter
from pathlib import Path

import pytest

from tests.field.copies import FER_FOLDERS, WORD_OF, folders, gathered, read
from tests.training.datasets.trees import everywhere, photo, plant
from training.datasets.pairs import count_pairs
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared, PreparedError


@pytest.mark.parametrize("name", ["fer2013", "folder"])
def test_fer2013_as_split_folders_is_no_set_of_two_persons(name: str, tmp_path: Path) -> None:
    tree = folders(("train", "test"), FER_FOLDERS, 3)
    for path in everywhere(tree, tmp_path):
        dataset = read(name, path)
        words = Counter({WORD_OF.get(word, word): 3 for word in FER_FOLDERS})
        assert gathered(dataset) == {"train": words, "test": words}
        assert {p.split for p in dataset.pictures} == {"train", "validation", "test"}
        assert {p.person for p in dataset.pictures} == {None}


def test_split_folders_give_no_pairs_of_strangers(tmp_path: Path) -> None:
    source = plant(folders(("Training", "Test"), ("happy", "sad", "fear"), 4), tmp_path / "set")
    prepare("fer2013", source, tmp_path / "data", workers=1)
    data = Prepared.open(tmp_path / "data")
    assert len(data.index) == 24
    assert data.index["person"].isna().all()
    assert sum(count_pairs(data, split) for split in ("train", "validation", "test")) == 0
    assert (data.index["split"] == "test").sum() == 12


@pytest.mark.parametrize(
    ("splits", "ours"),
    [
        (("Train", "Test"), {"Train": "train", "Test": "test"}),
        (("TRAINING", "Validation"), {"TRAINING": "train", "Validation": "test"}),
        (("train", "val", "test"), {"train": "train", "val": "validation", "test": "test"}),
        (
            ("training", "PublicTest", "PrivateTest"),
            {"training": "train", "PublicTest": "validation", "PrivateTest": "test"},
        ),
        (("train_set", "valid", "testing"), {"train_set": "train", "valid": "validation",
                                             "testing": "test"}),
        (("test",), {"test": "test"}),
        (("train",), {"train": "train"}),
    ],
)  # fmt: skip
def test_outer_folders_that_are_splits_are_splits(
    splits: tuple[str, ...], ours: dict[str, str], tmp_path: Path
) -> None:
    dataset = read("folder", plant(folders(splits, ("happy", "sad"), 2), tmp_path))
    drawn = any("drawn by name, are validation" in note for note in dataset.notes)
    for picture in dataset.pictures:
        published = ours[picture.member.split("/")[0]]
        assert picture.split in ({published, "validation"} if drawn else {published})
        assert picture.person is None


def test_persons_below_splits_stay_persons_and_in_one_split(tmp_path: Path) -> None:
    tree = {"train/anna/happy.jpg": photo(1, 1), "train/anna/sad.jpg": photo(1, 2)}
    tree |= {"train/bo/happy.jpg": photo(2, 1), "test/cy/sad.jpg": photo(3, 2)}
    found = {p.member: (p.person, p.split) for p in read("folder", plant(tree, tmp_path)).pictures}
    assert found["test/cy/sad.jpg"] == ("cy", "test")
    assert found["train/anna/happy.jpg"] == (found["train/anna/sad.jpg"])
    assert found["train/anna/happy.jpg"][0] == "anna"
    both = plant({**tree, "test/anna/fear.jpg": photo(1, 4)}, tmp_path / "both")
    with pytest.raises(PreparedError, match=r"1 persons are in several splits \(anna\)"):
        READERS["folder"](both)


def test_splits_beside_other_folders_are_refused(tmp_path: Path) -> None:
    tree = folders(("train", "test", "extra"), ("happy", "sad"))
    with pytest.raises(PreparedError, match=r"folder test is a split, and 'extra' beside it isn't"):
        READERS["folder"](plant(tree, tmp_path))
