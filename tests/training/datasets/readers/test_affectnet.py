"""AffectNet in both published forms."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.training.datasets.trees import everywhere, photo, plant
from training.datasets.prepared import PreparedError
from training.datasets.readers import affectnet
from training.datasets.source import RawDataset

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal"
)
TRAINING = [
    "1/aa.jpg,10,20,40,40,1.0;2.0,1,0.7,0.1",
    "1/aa.jpg,10,20,40,40,1.0;2.0,1,0.7,0.1",
    "1/bb.JPG,10,20,40,40,1.0;2.0,6,0.7,0.1",
    "2/cc.png,-1,-1,-1,-1,,7,0.7,0.1",
    "2/dd.jpg,10,20,40,40,1.0;2.0,9,-2,-2",
    "2/ee.jpg,10,20,40,40,1.0;2.0,10,-2,-2",
    "2/ff.jpg,10,20,40,40,1.0;2.0,11,-2,-2",
    "../../etc/passwd,10,20,40,40,1.0;2.0,1,-2,-2",
    "2/gone.jpg,10,20,40,40,1.0;2.0,1,-2,-2",
    "2/short.jpg,10,20",
    "3/tested.jpg,10,20,40,40,1.0;2.0,2,-2,-2",
]
VALIDATION = ["3/tested.jpg,10,20,40,40,1.0;2.0,2,0,0", "3/none.jpg,1,2,4,4,1.0;2.0,8,-2,-2"]
PICTURES = ("1/aa.jpg", "1/bb.JPG", "2/cc.png", "2/dd.jpg", "2/ee.jpg", "2/ff.jpg", "3/tested.jpg")
SHOT = photo()
IMAGES = "Manually_Annotated/Manually_Annotated_Images"


def lists(folder: str = "") -> dict[str, bytes | str]:
    """Return the form of 2017, with its lists in a folder."""
    return {
        f"{folder}training.csv": "\n".join([HEADER, *TRAINING]) + "\n",
        f"{folder}validation.csv": "\r\n".join([HEADER, *VALIDATION]) + "\r\n",
        **{f"{IMAGES}/{name}": photo(i) for i, name in enumerate(PICTURES)},
    }


def saved(value: object) -> bytes:
    content = io.BytesIO()
    np.save(content, value)
    return content.getvalue()


def numbered(labels: Mapping[str, object], pictures: tuple[str, ...]) -> dict[str, bytes | str]:
    """Return the form of 2021."""
    labelled = {
        f"{name.split('/')[0]}/annotations/{name.split('/')[1]}_{what}.npy": saved(value)
        for name, value in labels.items()
        for what, value in (("exp", value), ("val", "0.1"), ("aro", 0.2))
    }
    photos = {f"{n.split('/')[0]}/images/{n.split('/')[1]}.jpg": SHOT for n in pictures}
    return {**labelled, **photos}


def labels_of(dataset: RawDataset) -> dict[str, tuple[str, int | None]]:
    published = {"train": "train", "validation": "train", "test": "test"}
    return {p.name: (published[p.split], p.emotion) for p in dataset.pictures}


@pytest.mark.parametrize("folder", ["", "Manually_Annotated_file_lists/"])
def test_the_lists_of_2017_are_read_wherever_they_lie(folder: str, tmp_path: Path) -> None:
    for path in everywhere(lists(folder), tmp_path):
        dataset = affectnet.read(path)
        assert labels_of(dataset) == {
            "3_tested": ("test", 2),
            "1_aa": ("train", 1),
            "1_bb": ("train", 6),
            "2_cc": ("train", 7),
        }
        centre = {picture.name: picture.face_centre for picture in dataset.pictures}
        assert centre["1_aa"] == (30.0, 40.0)
        assert centre["2_cc"] is None
        assert all(dataset.source.read(picture.member) for picture in dataset.pictures)


def test_faulty_rows_of_its_lists_are_named_with_file_line_and_value(tmp_path: Path) -> None:
    notes = affectnet.read(plant(lists(), tmp_path)).notes
    for note in (
        "1 left out: none of the emotions.",
        "1 left out: uncertain.",
        "1 left out: no face.",
        "1 dropped, unknown label: training.csv line 8 ('11').",
        "1 dropped, not a picture's path: training.csv line 9 ('../../etc/passwd').",
        f"1 dropped, the photo is missing: training.csv line 10 ('{IMAGES}/2/gone.jpg').",
        "1 dropped, not 9 values: training.csv line 11 ('2/short.jpg,10,20').",
        "1 faces have no box: the largest in the picture is taken.",
    ):
        assert note in notes
    repeated = next(note for note in notes if "duplicate" in note)
    assert "training.csv line 3" in repeated
    assert "training.csv line 12" in repeated, "training repeats a picture of validation"
    assert not any("Automatic" in note for note in notes)


def test_automatic_annotations_are_left_out_and_noted(tmp_path: Path) -> None:
    more = {"Automatically_Annotated/Automatically_Annotated_Images/9/zz.jpg": photo()}
    dataset = affectnet.read(plant(lists() | more, tmp_path))
    assert any("Automatic annotations aren't read" in note for note in dataset.notes)
    assert len(dataset.pictures) == 4


def test_the_numbered_files_of_2021_are_read_as_text_or_numbers(tmp_path: Path) -> None:
    labels = {"train_set/0": "1", "train_set/1": 6, "train_set/2": "8", "train_set/3": 12}
    labels |= {"train_set/4": 1.5, "train_set/5": 1, "val_set/0": np.int64(7), "val_set/1": "0"}
    pictures = ("train_set/0", "train_set/1", "train_set/2", "train_set/3", "train_set/4")
    tree = numbered(labels, (*pictures, "train_set/77", "val_set/0", "val_set/1"))
    for path in everywhere(tree, tmp_path):
        dataset = affectnet.read(path)
        assert labels_of(dataset) == {
            "val_set_0": ("test", 7),
            "val_set_1": ("test", 0),
            "train_set_0": ("train", 1),
            "train_set_1": ("train", 6),
        }
        notes = " ".join(dataset.notes)
        assert "1 left out: none of the emotions." in dataset.notes
        assert "train_set/annotations/3_exp.npy ('12')" in notes
        assert "train_set/annotations/4_exp.npy ('not a single integer')" in notes
        assert "is missing: train_set/annotations/5_exp.npy ('train_set/images/5.jpg')" in notes
        assert "no label: train_set/images/77.jpg ('77')" in notes


def test_a_twentieth_of_training_is_for_validation_the_same_ones_each_time(tmp_path: Path) -> None:
    names = [f"train_set/{number}" for number in range(400)]
    tree = numbered(dict.fromkeys((*names, "val_set/0"), 1), (*names, "val_set/0"))
    first = affectnet.read(plant(tree, tmp_path)).pictures
    assert first == affectnet.read(tmp_path).pictures
    validation = [p.name for p in first if p.split == "validation"]
    assert 8 <= len(validation) <= 36
    assert [p.name for p in first if p.split == "test"] == ["val_set_0"]


def test_files_that_are_not_the_published_lists_are_refused(tmp_path: Path) -> None:
    path = plant(lists(), tmp_path)
    (path / "training.csv").write_text("subDirectory_filePath,face_x,face_y\n1/aa.jpg,1,2\n")
    with pytest.raises(PreparedError, match=r"training\.csv has no column expression, face_width"):
        affectnet.read(path)
    (path / "validation.csv").unlink()
    with pytest.raises(PreparedError, match=r"isn't affectnet: it has no validation\.csv"):
        affectnet.read(path)
    wrong = numbered({"train_set/0": 1}, ("train_set/0",))
    with pytest.raises(PreparedError, match="isn't affectnet: it has no val_set/annotations"):
        affectnet.read(plant(wrong, tmp_path / "half"))
