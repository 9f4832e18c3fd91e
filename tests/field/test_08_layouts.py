"""The usual copies of sets are recognised by what they hold; splits are splits, never persons."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from registry.catalog import EMOTIONS
from tests.field.copies import AFFECT_FOLDERS, folders, gathered, read
from tests.training.datasets.trees import everywhere, pack, photo, plant
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.synthetic.drawing import draw


def test_fer2013_as_csv_with_a_column_of_pixels(tmp_path: Path) -> None:
    faces = [np.asarray(Image.fromarray(draw(i, 0, 0, 48)).convert("L")) for i in range(10)]
    usage = ("Training", "PublicTest", "PrivateTest")
    lines = [
        f"{i % 7},{' '.join(map(str, face.ravel()))},{usage[min(i // 7, 2) if i < 9 else 2]}"
        for i, face in enumerate(faces)
    ]
    table = "emotion,pixels,Usage\r\n" + "\r\n".join(lines)
    sources = [
        plant({"fer2013.csv": table}, tmp_path / "folder") / "fer2013.csv",
        tmp_path / "folder",
        pack({"fer2013.csv": table, "train.csv": "x"}, tmp_path / "fer.zip", "fer2013/"),
    ]
    for path in sources:
        dataset = read("fer2013", path)
        assert [EMOTIONS[p.emotion or 0] for p in dataset.pictures[:7]] == [
            *("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
        ]
        assert [p.split for p in dataset.pictures] == ["train"] * 7 + ["validation"] * 2 + ["test"]
        content = dataset.source.read(dataset.pictures[3].member)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), faces[3])
    broken = table.replace("\r\n3,", "\r\n3,x ", 1)
    dataset = read("fer2013", plant({"fer2013.csv": broken}, tmp_path / "broken"))
    assert len(dataset.pictures) == 9
    assert any("not a square of grey levels: fer2013.csv line 5" in n for n in dataset.notes)


CODES = dict(enumerate(("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"), 1))


def rafdb() -> dict[str, bytes | str]:
    tree: dict[str, bytes | str] = {}
    for split, start in (("train", 0), ("test", 50)):
        rows = ["image,label"]
        for code in CODES:
            name = f"{split}_{code:05d}_aligned.jpg"
            tree[f"DATASET/{split}/{code}/{name}"] = photo(start + code, code, 2)
            rows.append(f"{name},{code}")
        tree[f"{split}_labels.csv"] = "\n".join(rows)
    return tree


def test_rafdb_as_class_folders_with_tables(tmp_path: Path) -> None:
    for path in everywhere(rafdb(), tmp_path):
        dataset = read("rafdb", path)
        words = Counter(CODES.values())
        assert gathered(dataset) == {"train": words, "test": words}
        assert "train_00001" in {p.name for p in dataset.pictures}
    wrong = rafdb() | {"test_labels.csv": "image,label\ntest_00001_aligned.jpg,1\ngone.jpg,2\n"
                       "test_00002_aligned.jpg,3.0\n"}  # fmt: skip
    notes = " ".join(read("rafdb", plant(wrong, tmp_path / "wrong")).notes)
    assert "contradicting labels: test_labels.csv line 4 ('3, in folder 2')" in notes
    assert "the photo is missing: test_labels.csv line 3 ('gone')" in notes
    assert "5 dropped, not in the table" in notes
    alone = {name: content for name, content in rafdb().items() if name.endswith("jpg")}
    assert len(read("rafdb", plant(alone, tmp_path / "alone")).pictures) == 14


def test_affectnet_as_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    words = Counter(word.lower() for word in AFFECT_FOLDERS)
    for path in everywhere(folders(("Train", "Test"), AFFECT_FOLDERS), tmp_path / "split"):
        assert gathered(read("affectnet", path)) == {"train": words, "test": words}
    flat = {
        name.partition("/")[2]: shot for name, shot in folders(("x",), AFFECT_FOLDERS, 3).items()
    }
    dataset = read("affectnet", plant(flat, tmp_path / "flat"))
    assert Counter(EMOTIONS[p.emotion or 0] for p in dataset.pictures) == dict.fromkeys(words, 3)
    assert {p.split for p in dataset.pictures} == {"train", "validation", "test"}


def test_affectnet_with_labels_csv_whose_words_win_over_folders(tmp_path: Path) -> None:
    tree: dict[str, bytes | str] = {
        "anger/image0000006.jpg": photo(1, 1),
        "anger/image0000060.jpg": photo(2, 1),
        "contempt/image0000010.jpg": photo(3, 1),
        "labels.csv": ",pth,label,relFCs\n0,anger/image0000006.jpg,surprise,0.87\n"
        "1,anger/image0000060.jpg,anger,0.85\n2,contempt/gone.jpg,contempt,0.8\n",
    }
    for path in everywhere(tree, tmp_path):
        dataset = read("affectnet", path)
        words = {Path(p.member).stem: EMOTIONS[p.emotion or 0] for p in dataset.pictures}
        assert words == {
            "image0000006": "surprise",
            "image0000060": "anger",
            "image0000010": "contempt",
        }
        assert any(
            "the photo is missing: " in n and "labels.csv line 4" in n for n in dataset.notes
        )
    split = {f"Train/{name}": shot for name, shot in tree.items() if name.endswith("jpg")}
    split |= {"labels.csv": tree["labels.csv"], "Test/Fear/1.jpg": photo(4, 4)}
    found = gathered(read("affectnet", plant(split, tmp_path / "train")))
    assert found == {"train": Counter(("surprise", "anger", "contempt")), "test": Counter(["fear"])}


def parquet(path: Path, columns: dict[str, list[object]], names: list[str] | None = None) -> Path:
    """Write pictures and columns as the hubs' library does."""
    count = len(next(iter(columns.values())))
    struct = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = [{"bytes": photo(i, 1), "path": f"fer{i:07d}.png"} for i in range(count)]
    table = pa.table({"image": pa.array(images, struct), **columns})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        described = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": described})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)
    return path


VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def test_ferplus_as_parquet_with_votes(tmp_path: Path) -> None:
    votes = {
        word: [8 if i == w else 1 if i == 3 else 0 for i in range(4)]
        for w, word in enumerate((*VOTES, "unknown", "NF"))
    }
    parquet(tmp_path / "hub" / "data" / "train-00000-of-00001-a1b2.parquet", dict(votes))
    path = parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", {
        name: values[:2] for name, values in votes.items()
    })  # fmt: skip
    single = read("ferplus", path)
    assert [p.split for p in single.pictures] == ["test", "test"]
    assert single.triplets is not None
    report = prepare("ferplus", tmp_path / "hub" / "data" / "train-00000-of-00001-a1b2.parquet",
                     tmp_path / "data")  # fmt: skip
    index = Prepared.open(tmp_path / "data").index
    assert report.faces == 4
    assert [EMOTIONS[e] for e in index["emotion"]] == ["neutral", "happy", "surprise", "sad"]
    assert index["votes"][0].tolist() == [8, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert set(index["split"]) <= {"train", "validation"}


def test_parquet_with_labels_that_the_file_names(tmp_path: Path) -> None:
    numbers: dict[str, list[object]] = {"label": [0, 1, 2, 3]}
    names = ["angry", "disgust", "fear", "happy"]
    file = parquet(tmp_path / "hub" / "default" / "test" / "0000.parquet", numbers, names)
    archive = pack({"hub/default/test/0000.parquet": file.read_bytes()}, tmp_path / "hub.zip")
    for path in (tmp_path / "hub", archive):
        dataset = read("fer2013", path)
        assert [EMOTIONS[p.emotion or 0] for p in dataset.pictures] == [
            *("anger", "disgust", "fear", "happy"),
        ]
        assert {p.split for p in dataset.pictures} == {"test"}
    unnamed = parquet(tmp_path / "unnamed.parquet", numbers)
    with pytest.raises(PreparedError, match="numbers in its column label and doesn't say what"):
        READERS["fer2013"](unnamed)


KDEF = {
    "KDEF/AF01/AF01ANS.JPG": ("F01", "female", "anger", 0.0),
    "KDEF/AF01/AF01AFFL.JPG": ("F01", "female", "fear", -90.0),
    "KDEF/BF01/BF01HAHR.JPG": ("F01", "female", "happy", 45.0),
    "KDEF/AM02/AM02NES.JPG": ("M02", "male", "neutral", 0.0),
    "KDEF/AM02/am02sus.jpg": ("M02", "male", "surprise", 0.0),
}


@pytest.mark.parametrize("name", ["kdef", "folder"])
def test_kdefs_names_say_person_sex_emotion_and_angle(name: str, tmp_path: Path) -> None:
    tree = {member: photo(i, 3) for i, member in enumerate(KDEF)} | {
        "KDEF/AF01/AF31V.JPG": photo(9)
    }
    for path in everywhere(tree, tmp_path):
        dataset = read(name, path)
        found = {
            "/".join(p.member.split("/")[-3:]): (p.person, p.sex, EMOTIONS[p.emotion or 0], p.angle)
            for p in dataset.pictures
        }
        assert found == KDEF
        by_person = {p.person: p.split for p in dataset.pictures}
        assert all(by_person[p.person] == p.split for p in dataset.pictures)
        assert any("unexpected name: " in note and "AF31V.JPG" in note for note in dataset.notes)


def test_jaffe_and_ckplus_name_their_people_too(tmp_path: Path) -> None:
    tree = {"KA.AN1.39.tiff": photo(1), "KA.FE2.46.tiff": photo(2), "MK.NE1.113.tiff": photo(3)}
    jaffe = read("jaffe", plant(tree, tmp_path / "jaffe")).pictures
    assert [(p.person, p.sex, EMOTIONS[p.emotion or 0]) for p in jaffe] == [
        ("KA", "female", "anger"), ("KA", "female", "fear"), ("MK", "female", "neutral"),
    ]  # fmt: skip
    shots = {f"anger/S010_004_{number:08d}.png": photo(number) for number in (17, 18, 19)}
    shots |= {"contempt/S138_008_00000009.png": photo(5)}
    for name in ("ckplus", "folder"):
        found = read(name, plant(shots, tmp_path / "ck")).pictures
        assert Counter(p.person for p in found) == {"S010": 3, "S138": 1}
        assert len({p.split for p in found if p.person == "S010"}) == 1
