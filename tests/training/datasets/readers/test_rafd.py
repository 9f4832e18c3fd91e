from pathlib import Path

import pytest

from registry.catalog import EMOTIONS
from tests.training.datasets.trees import everywhere, photo, plant
from training.datasets.prepared import PreparedError
from training.datasets.readers import rafd

SHOT = photo()
TREE = {
    "Rafd090_01_Caucasian_female_happy_frontal.jpg": SHOT,
    "Rafd045_01_Caucasian_female_contemptuous_left.jpg": SHOT,
    "kids/Rafd180_63_Kid_male_surprised_right.jpg": SHOT,
    "kids/Rafd000_62_Moroccan_male_disgusted_frontal.jpg": SHOT,
    "kids/Rafd090_01_Caucasian_female_happy_frontal.jpg": SHOT,
    "Rafd090_01_Caucasian_female_bored_frontal.jpg": SHOT,
    "Rafd091_01_Caucasian_female_happy_frontal.jpg": SHOT,
    "holiday.jpg": SHOT,
    "Rafd090_64_Kid_male_sad_frontal.JPG": SHOT,
    "RAFD135_65_kid_male_Angry_Left.TIFF": SHOT,
    "readme.txt": "hello",
}


def test_all_parts_of_a_name_are_read(tmp_path: Path) -> None:
    for path in everywhere(TREE, tmp_path):
        dataset = rafd.read(path)
        found = {
            p.name.removeprefix("Rafd"): (p.person, p.sex, p.ethnicity, p.emotion, p.angle, p.gaze)
            for p in dataset.pictures
        }
        assert found == {
            "090_01_Caucasian_female_happy_frontal": ("01", "female", "Caucasian", 1, 0.0, "front"),
            "045_01_Caucasian_female_contemptuous_left": (
                *("01", "female", "Caucasian", EMOTIONS.index("contempt"), -45.0, "left"),
            ),
            "180_63_Kid_male_surprised_right": ("63", "male", "Kid", 3, 90.0, "right"),
            "000_62_Moroccan_male_disgusted_frontal": ("62", "male", "Moroccan", 5, -90.0, "front"),
            "090_64_Kid_male_sad_frontal": ("64", "male", "Kid", 2, 0.0, "front"),
            "RAFD135_65_kid_male_Angry_Left": ("65", "male", "Kid", 6, 45.0, "left"),
        }
        assert all(dataset.source.read(picture.member) == SHOT for picture in dataset.pictures)


def test_frontal_pictures_alone_have_the_same_people_in_each_split(
    tmp_path: Path,
) -> None:
    tree = {
        f"Rafd{camera}_{number:02d}_Caucasian_male_{word}_{gaze}.jpg": b"never read"
        for number in range(1, 68)
        for camera in ("000", "045", "090", "135", "180")
        for gaze in ("frontal", "left", "right")
        for word in rafd.RAFD
    }
    whole = rafd.read(plant(tree, tmp_path))
    frontal = rafd.read(tmp_path, frontal=True)
    assert len(whole.pictures) == 8040
    assert len(frontal.pictures) == 536
    assert {p.member.split("_")[0] + p.member[-12:] for p in frontal.pictures} == {
        "Rafd090_frontal.jpg"
    }
    assert set(frontal.pictures) < set(whole.pictures)
    assert {(p.person, p.split) for p in frontal.pictures} == {
        (p.person, p.split) for p in whole.pictures
    }
    assert "7,504 left out: not from the front or not looking at the camera." in frontal.notes


def test_unexpected_names_are_reported(tmp_path: Path) -> None:
    notes = rafd.read(plant(TREE, tmp_path)).notes
    odd = next(note for note in notes if "unexpected name" in note)
    assert odd.startswith("2 dropped, unexpected name: ")
    assert "'holiday.jpg'" in odd
    assert "'Rafd091_01_Caucasian_female_happy_frontal.jpg'" in odd
    assert any("unknown label" in note and "('bored')" in note for note in notes)
    assert any("a duplicate: kids/Rafd090_01" in note for note in notes)


def test_splits_share_no_person(tmp_path: Path) -> None:
    numbers = range(1, 74)
    tree = {
        f"Rafd{camera}_{number:02d}_Caucasian_male_{word}_frontal.jpg": b"never read"
        for number in numbers
        for camera in ("045", "090")
        for word in ("happy", "sad")
    }
    pictures = rafd.read(plant(tree, tmp_path)).pictures
    people = {split: {p.person for p in pictures if p.split == split} for split in SPLITS}
    assert sum(map(len, people.values())) == len(numbers)
    assert 4 <= len(people["validation"]) <= 12
    assert 4 <= len(people["test"]) <= 12
    fewer = rafd.read(plant(dict(list(tree.items())[:200]), tmp_path / "fewer")).pictures
    assert {(p.person, p.split) for p in fewer} <= {(p.person, p.split) for p in pictures}


SPLITS = ("train", "validation", "test")


def test_a_folder_of_other_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"isn't rafd: .* such as Rafd090_01_Caucasian"):
        rafd.read(plant({"holiday.jpg": SHOT}, tmp_path))
