import csv
import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from registry.catalog import EMOTIONS, FERPLUS_MARGIN
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.readers import ferplus
from training.datasets.synthetic.drawing import draw

PICTURES = {
    "FER2013Train": [
        ("fer0000000", 0, [4, 0, 0, 1, 3, 2, 0, 0, 0, 0]),
        ("fer0000001", 1, [0, 5, 5, 0, 0, 0, 0, 0, 0, 0]),
        ("fer0000002", 2, [1, 0, 0, 0, 0, 0, 0, 2, 7, 0]),
        ("fer0000003", 50, [9, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("fer0000004", 60, [0, 0, 0, 0, 0, 0, 10, 0, 0, 0]),
        ("fer0000005", 1, [0, 9, 1, 0, 0, 0, 0, 0, 0, 0]),
    ],
    "FER2013Valid": [
        ("fer0000010", 50, [8, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        ("fer0000011", 60, [0, 0, 3, 0, 0, 0, 7, 0, 0, 0]),
        ("fer0000012", 3, [0, 0, 0, 9, 0, 0, 0, 1, 0, 0]),
    ],
    "FER2013Test": [
        ("fer0000020", 60, [0, 0, 1, 0, 0, 0, 9, 0, 0, 0]),
        ("fer0000021", 4, [0, 0, 0, 0, 3, 4, 0, 0, 3, 0]),
        ("fer0000022", 5, [0, 0, 0, 0, 0, 0, 0, 0, 2, 8]),
    ],
}
"""Name, seed of the drawn person, votes in FER+'s order: neutral, happiness, surprise, sadness,
anger, disgust, fear, contempt, unknown, no face."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for folder, pictures in PICTURES.items():
        (tmp_path / "fer" / folder).mkdir(parents=True)
        with (tmp_path / "fer" / folder / "label.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            for name, seed, votes in pictures:
                rows.writerow([f"{name}.png", "(0, 0, 48, 48)", *votes])
                grey = Image.fromarray(draw(seed, 0, 0, 48)).convert("L")
                grey.save(tmp_path / "fer" / folder / f"{name}.png")
    return tmp_path / "fer"


def test_identical_pictures_stay_in_the_last_of_their_splits(source: Path, tmp_path: Path) -> None:
    report = prepare("ferplus", source, tmp_path / "data")
    index = Prepared.open(tmp_path / "data").index
    assert "2 dropped from train that are also in validation or test." in report.notes
    assert "1 dropped from validation that are also in test." in report.notes
    assert index.groupby("digest")["split"].nunique().max() == 1
    names = index.groupby("split")["name"].agg(list)
    assert names["train"] == ["fer0000000", "fer0000001", "fer0000002", "fer0000005"]
    assert names["validation"] == ["fer0000010", "fer0000012"]
    assert len(names["test"]) == 3


def test_the_column_with_the_most_votes_is_the_label(source: Path, tmp_path: Path) -> None:
    prepare("ferplus", source, tmp_path / "data")
    index = Prepared.open(tmp_path / "data").index.set_index("name")
    words = index["emotion"].map(dict(enumerate(EMOTIONS)))
    assert words["fer0000000"] == "neutral"
    assert words["fer0000001"] == "happy", "the first column wins a tie"
    assert words["fer0000012"] == "sad"
    assert words["fer0000020"] == "fear"
    assert words["fer0000021"] == "disgust"
    assert index["emotion"][["fer0000002", "fer0000022"]].isna().all(), "led by unknown, no face"
    assert index["votes"]["fer0000000"].tolist() == [4, 0, 1, 0, 0, 2, 3, 0, 0, 0]
    assert index["votes"]["fer0000022"].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 2, 8]


def test_crops_are_the_pictures_themselves_with_a_measured_margin(
    source: Path, tmp_path: Path
) -> None:
    prepare("ferplus", source, tmp_path / "data")
    index = Prepared.open(tmp_path / "data").index
    assert (index["size_px"] == 48).all()
    assert (index["margin"] == FERPLUS_MARGIN).all()
    for path, member, digest in zip(index["path"], index["source"], index["digest"], strict=True):
        original = np.asarray(Image.open(source / member))
        assert np.array_equal(np.asarray(Image.open(tmp_path / "data" / path)), original)
        assert hashlib.sha256((source / member).read_bytes()).hexdigest() == digest


def test_zip_and_folder_give_the_same_set(source: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "fer"), "zip", source))
    prepare("ferplus", source, tmp_path / "a")
    prepare("ferplus", archive, tmp_path / "b")
    assert Prepared.open(tmp_path / "a").digest == Prepared.open(tmp_path / "b").digest


def test_a_missing_picture_is_dropped_and_counted(source: Path, tmp_path: Path) -> None:
    (source / "FER2013Train" / "fer0000004.png").write_bytes(b"not a picture")
    report = prepare("ferplus", source, tmp_path / "data")
    assert report.dropped == {"the picture can't be read": ["FER2013Train/fer0000004.png"]}
    assert "1 dropped: the picture can't be read." in report.text


def test_label_files_with_other_columns_are_refused(source: Path, tmp_path: Path) -> None:
    (source / "FER2013Valid" / "label.csv").write_text("fer0000010.png,happy\n")
    with pytest.raises(PreparedError, match="should have 12 columns"):
        prepare("ferplus", source, tmp_path / "data")
    votes = "fer0000010.png,(0,0,48,48),1,2,3,4,,0,0,0,0,0\n"
    (source / "FER2013Valid" / "label.csv").write_text(votes.replace("(0,0,48,48)", "box"))
    with pytest.raises(PreparedError, match=r"aren't numbers in line 1: 1, 2, 3, 4, , 0"):
        prepare("ferplus", source, tmp_path / "data")


def test_committed_triplets_are_the_fixed_ones(shared_data: Path) -> None:
    committed = ferplus.triplets()
    for split, file in (("validation", "valid.csv"), ("test", "test.csv")):
        published = pd.read_csv(shared_data / "ferplus_triplets" / file)
        table = committed[committed["split"] == split].reset_index(drop=True)
        names = table[["name_1", "name_2", "name_3", "type"]]
        assert names.equals(published.set_axis(names.columns, axis=1))
        assert (table["answer"] == 3).all()


def test_the_real_test_split_is_complete_and_shares_no_picture(shared_data: Path) -> None:
    dataset = ferplus.read(shared_data / "ferplus.zip")
    labelled = [p for p in dataset.pictures if p.split == "test" and p.emotion is not None]
    assert len(labelled) == 3545
    assert len({EMOTIONS[p.emotion] for p in labelled if p.emotion is not None}) == 8
    with zipfile.ZipFile(shared_data / "ferplus.zip") as archive:
        sums = {p.member: hashlib.sha256(archive.read(p.member)).digest() for p in dataset.pictures}
    by_split = {
        split: {sums[p.member] for p in dataset.pictures if p.split == split}
        for split in ("train", "validation", "test")
    }
    assert not by_split["test"] & (by_split["validation"] | by_split["train"])
    assert not by_split["validation"] & by_split["train"]
    names = {split: {p.name for p in dataset.pictures if p.split == split} for split in by_split}
    assert dataset.triplets is not None
    for split, listed in dataset.triplets.groupby("split"):
        faces = set(listed[["name_1", "name_2", "name_3"]].to_numpy().ravel())
        assert faces <= names[str(split)]
