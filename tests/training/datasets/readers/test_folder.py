"""A user's own pictures, sorted into folders."""

from collections import Counter
from pathlib import Path

import pytest

from registry.catalog import EMOTIONS
from tests.training.datasets.trees import everywhere, pack, photo, plant
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.readers import folder
from training.datasets.readers.label_maps import WORDS
from training.datasets.source import PictureRecord

SPLITS = ("train", "validation", "test")
HAPPY, SAD, FEAR = map(EMOTIONS.index, ("happy", "sad", "fear"))


def people(pictures: list[PictureRecord], split: str) -> set[str | None]:
    return {picture.person for picture in pictures if picture.split == split}


def test_people_with_a_picture_or_a_folder_for_each_expression(tmp_path: Path) -> None:
    tree = {
        "anna/Happy.JPG": photo(1, 1),
        "anna/sadness.png": photo(1, 2),
        "Bo Ek/smiling.jpeg": photo(2, 1),
        "Bo Ek/AFRAID/1.webp": photo(2, 4),
        "Bo Ek/afraid/1.webp": photo(2, 4, 1),
        "Bo Ek/notes.txt": "ignored",
    }
    for path in everywhere(tree, tmp_path):
        dataset = folder.read(path)
        assert any(note.startswith("1 other files are ignored") for note in dataset.notes)
        pictures = dataset.pictures
        found = sorted((p.person or "", p.emotion or 0) for p in pictures)
        assert found == [
            *(("Bo Ek", HAPPY), ("Bo Ek", FEAR), ("Bo Ek", FEAR)),
            *(("anna", HAPPY), ("anna", SAD)),
        ]
        assert people(pictures, "train") == {"anna", "Bo Ek"}, "two persons are too few to split"
        assert len({p.name.lower() for p in pictures}) == len(pictures)


def test_expressions_with_pictures_of_unknown_people(tmp_path: Path) -> None:
    tree = {f"{word}/{i}.jpg": photo(i, e) for i in range(5) for e, word in enumerate(EMOTIONS)}
    for path in everywhere(tree, tmp_path):
        dataset = folder.read(path)
        assert people(dataset.pictures, "train") == {None}
        assert Counter(p.emotion for p in dataset.pictures) == dict.fromkeys(range(8), 5)
        assert {p.split for p in dataset.pictures} == set(SPLITS)
        assert all(p.digest for p in dataset.pictures)
        note = next(note for note in dataset.notes if note.startswith("Of 40 pictures"))
        assert note.endswith("drawn by digest.")
    assert "The folder 'download/set' contains everything, so it names nobody." in dataset.notes


def test_an_identical_picture_counts_once_and_not_under_two_expressions(tmp_path: Path) -> None:
    tree = {f"happy/{i}.jpg": photo(i, 1) for i in range(12)}
    tree |= {"smile/again.jpg": photo(3, 1), "sad/both.jpg": photo(4, 1)}
    dataset = folder.read(plant(tree, tmp_path))
    assert {Path(p.member).stem for p in dataset.pictures} == set(map(str, range(12))) - {"4"}
    assert "2 dropped, contradicting labels: happy/4.jpg ('happy'), sad/both.jpg ('sad')." in (
        dataset.notes
    )
    assert "1 dropped, a duplicate: smile/again.jpg ('smile/again.jpg')." in dataset.notes


def test_a_picture_of_two_people_or_two_expressions_is_dropped(tmp_path: Path) -> None:
    tree = {"anna/happy.jpg": photo(1, 1), "bo/happy.jpg": photo(1, 1), "bo/sad.jpg": photo(2, 2)}
    tree |= {"anna/sad.jpg": photo(3, 1), "anna/fear.jpg": photo(3, 1)}
    tree |= {"bo/fear/1.jpg": photo(4, 4), "bo/fear/2.jpg": photo(4, 4)}
    dataset = folder.read(plant(tree, tmp_path))
    assert {p.member for p in dataset.pictures} == {"bo/sad.jpg", "bo/fear/1.jpg"}
    for note in (
        "2 dropped, in folders of several persons: anna/happy.jpg ('anna'), bo/happy.jpg ('bo').",
        "2 dropped, contradicting labels: anna/fear.jpg ('fear'), anna/sad.jpg ('sad').",
        "1 dropped, a duplicate: bo/fear/2.jpg ('bo/fear/2.jpg').",
    ):
        assert note in dataset.notes


def test_whole_persons_are_drawn_and_keep_their_split_when_others_are_added(tmp_path: Path) -> None:
    names = [f"person {number}" for number in range(60)]
    tree = {f"{n}/{word}.jpg": f"{n} {word}" for n in names for word in ("happy", "sad")}
    pictures = folder.read(plant(tree, tmp_path / "a")).pictures
    assert sum(len(people(pictures, split)) for split in SPLITS) == 60
    assert people(pictures, "test")
    assert people(pictures, "validation")
    more = {f"newcomer {number}/happy.jpg": f"{number}" for number in range(30)}
    later = folder.read(plant(tree | more, tmp_path / "b")).pictures
    assert all(people(pictures, split) <= people(later, split) for split in SPLITS)


def test_a_single_folder_may_be_a_person_or_an_expression(tmp_path: Path) -> None:
    one = folder.read(plant({"anna/happy.jpg": b"1", "anna/sad.jpg": b"2"}, tmp_path / "one"))
    assert people(one.pictures, "train") == {"anna"}
    same = folder.read(plant({"happy/1.jpg": b"1", "happy/2.jpg": b"2"}, tmp_path / "same"))
    assert [p.emotion for p in same.pictures] == [HAPPY, HAPPY]


@pytest.mark.parametrize(
    ("tree", "wrong"),
    [
        (
            {"anna/happy.jpg": b"", "anna/bored.jpg": b""},
            "anna/bored.jpg names no known expression",
        ),
        (
            {"happy/1.jpg": b"", "sad/2.jpg": b"", "bored/3.jpg": b""},
            "bored/3.jpg names no known exp",
        ),
        ({"happy.jpg": b""}, "happy.jpg names no known expression"),
        ({"a/b/c/happy/1.jpg": b"", "d/e.jpg": b""}, "names no known expression"),
        (
            {"happy/sad.jpg": b"", "fear/smile.jpg": b""},
            "folder of fear/smile.jpg may be a person or an",
        ),
    ],
)
def test_the_message_about_an_unknown_word_lists_the_known_ones(
    tree: dict[str, bytes], wrong: str, tmp_path: Path
) -> None:
    for path in (plant(tree, tmp_path / "tree"), pack(tree, tmp_path / "tree.zip")):
        with pytest.raises(PreparedError, match=wrong) as error:
            folder.read(path)
        assert all(word in str(error.value) for word in WORDS)
        assert str(error.value).endswith(".")


def test_the_message_about_a_folder_without_pictures_lists_their_suffixes(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"no pictures \(\.avif, .*\.jpeg, \.jpg"):
        folder.read(plant({"happy/notes.txt": "-"}, tmp_path))


def test_faces_are_cut_from_a_handful_of_sorted_pictures(examples: Path, tmp_path: Path) -> None:
    shots = sorted(examples.glob("*.jpg"))
    tree = {f"{p.stem.split('_')[0]}/{p.name}": p.read_bytes() for p in shots}
    tree["sad/empty.png"] = photo(0, 0)[:50]
    report = prepare(
        "folder", pack(tree, tmp_path / "mine.zip", "my/"), tmp_path / "data", workers=1
    )
    assert report.dropped == {"the picture can't be read": ["my/sad/empty.png"]}
    index = Prepared.open(tmp_path / "data").index
    shown = Counter(EMOTIONS[emotion] for emotion in index["emotion"])
    assert shown == {"anger": 2, "happy": 2, "sad": 2, "surprise": 2}
    assert set(index["split"]) == {"train"}
    assert "9 pictures are too few to split: all are for training." in report.text
