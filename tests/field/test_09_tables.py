"""Tables as spreadsheets and pandas leave them: each reader reads a row, or refuses it by line."""

import io
from pathlib import Path

import pandas as pd
import pytest

from tests.field.copies import read
from tests.training.datasets.trees import Tree, photo, plant
from training.datasets.fec.fec_csv import parse_csv
from training.datasets.readers import lfw_emotion, london
from training.datasets.source import RawDataset

AFFECT = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal\n1/aa.jpg,10,20,40,40,1.0;2.0,1,0.7,0.1\n1/bb.jpg,1,1,9,9,,6,0,0\n"
)
FERPLUS = "".join(
    f'{name}.png,"(0, 0, 48, 48)",0,9,1,0,0,0,0,0,0,0\n' for name in ("fer0000000", "fer0000001")
)
TABLES: dict[str, tuple[str, str, Tree]] = {
    "affectnet": (
        "training.csv",
        AFFECT,
        {
            "validation.csv": AFFECT.partition("\n")[0] + "\n",
            "Manually_Annotated_Images/1/aa.jpg": photo(1),
            "Manually_Annotated_Images/1/bb.jpg": photo(2),
        },
    ),
    "affectnet copy": (
        "labels.csv",
        ",pth,label,relFCs\n0,anger/aa.jpg,happy,0.8\n1,anger/bb.jpg,anger,0.8\n",
        {"anger/aa.jpg": photo(1), "anger/bb.jpg": photo(2)},
    ),
    "rafdb": (
        "train_labels.csv",
        "image,label\naa.jpg,4\nbb.jpg,6\n",
        {"train/4/aa.jpg": photo(1), "train/6/bb.jpg": photo(2)},
    ),
    "rafdb list": (
        "EmoLabel/list_patition_label.txt",
        "train_00001.jpg 4\ntrain_00002.jpg 6\n",
        {f"Image/aligned/train_0000{i}_aligned.jpg": photo(i) for i in (1, 2)},
    ),
    "ferplus": (
        "FER2013Train/label.csv",
        FERPLUS,
        {
            "FER2013Valid/label.csv": FERPLUS.replace("fer000000", "fer000001"),
            "FER2013Test/label.csv": FERPLUS.replace("fer000000", "fer000002"),
        }
        | {
            f"FER2013{part}/fer00000{i}{j}.png": photo(10 * i + j)
            for i, part in enumerate(("Train", "Valid", "Test"))
            for j in (0, 1)
        },
    ),
    "london": (
        "info.csv",
        "face_id,face_age,face_gender,face_eth\n001,34,male,white\n002,25,female,white\n",
        {f"00{i}_0{j}.jpg": photo(i, j // 2) for i in (1, 2) for j in (3, 8)},
    ),
    "lfw-emotion": (
        "legend.csv",
        "user.id,image,emotion\na,Jane_Doe_0001.jpg,happiness\nb,John_Doe_0001.jpg,SADNESS\n",
        {"images/Jane_Doe_0001.jpg": photo(1), "images/John_Doe_0001.jpg": photo(2)},
    ),
}
"""Set -> its table's name, the table as published, and its pictures."""


def changes(table: str) -> dict[str, bytes]:
    """Return a table as other systems save it."""
    return {
        "mark": table.encode("utf-8-sig"),
        "UTF-16": table.encode("utf-16"),
        "Windows": table.replace("\n", "\r\n").encode(),
        "old Mac": table.replace("\n", "\r").encode(),
        "blank lines": ("\n" + table.replace("\n", "\n\n")).encode(),
        "spaces": table.replace(",", ", ").encode(),
    }


def read_set(name: str, folder: Path) -> RawDataset:
    readers = {"london": london.read, "lfw-emotion": lfw_emotion.read}
    reader = readers.get(name)
    return reader(folder) if reader else read(name.split()[0], folder, layout=False)


def known(dataset: RawDataset) -> list[tuple[object, ...]]:
    return [(p.name, p.emotion, p.split, p.votes, p.age, p.sex) for p in dataset.pictures]


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_saved_by_another_system_gives_the_same_set(name: str, tmp_path: Path) -> None:
    file, table, rest = TABLES[name]
    published = read_set(name, plant({**rest, file: table}, tmp_path / "published"))
    assert len(published.pictures) >= 2
    for number, (how, content) in enumerate(changes(table).items()):
        saved = read_set(name, plant({**rest, file: content}, tmp_path / str(number)))
        assert known(saved) == known(published), how


@pytest.mark.parametrize("name", [n for n in TABLES if n not in ("ferplus", "rafdb list")])
def test_what_pandas_and_excel_do_to_a_table_is_undone(name: str, tmp_path: Path) -> None:
    file, table, rest = TABLES[name]
    published = read_set(name, plant({**rest, file: table}, tmp_path / "published"))
    frame = pd.read_csv(io.StringIO(table))
    numbers = [c for c in ("expression", "label", "face_id", "face_age") if c in frame]
    for column in numbers:
        if pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype(float)
    frame.columns = ["" if c.startswith("Unnamed") else c for c in frame.columns]
    paths = [c for c in ("subDirectory_filePath", "pth", "image") if c in frame]
    for column in paths:
        frame[column] = frame[column].str.replace("/", "\\")
    saved = frame.to_csv(index=False, sep=";" if name != "affectnet" else ",")
    assert known(read_set(name, plant({**rest, file: saved}, tmp_path / "saved"))) == known(
        published
    )


@pytest.mark.parametrize(
    ("name", "label", "shown"),
    [
        ("affectnet", ",1,0.7", "unknown label: training.csv line 2 ('NaN')"),
        ("affectnet copy", ",happy", "unknown label: labels.csv line 2 ('nan')"),
        ("rafdb", ",4", "contradicting labels: train_labels.csv line 2 ('NaN, in folder 4')"),
        ("lfw-emotion", ",happiness", "'nan', which isn't one of our emotions"),
    ],
)
def test_a_missing_label_and_a_stray_quote_are_named_with_their_lines(
    name: str, label: str, shown: str, tmp_path: Path
) -> None:
    file, table, rest = TABLES[name]
    first, second, third = table.splitlines()
    missing = second.replace(label, ",NaN" + label[2:] if label.endswith("7") else ",NaN")
    lines = [first, missing, f'"{third}', third]
    dataset = read_set(name, plant({**rest, file: "\n".join(lines) + "\n"}, tmp_path))
    notes = " ".join(dataset.notes)
    assert f"quotes don't match: {file} line 3" in notes
    assert shown in notes
    assert any(p.member.endswith(("bb.jpg", "John_Doe_0001.jpg")) for p in dataset.pictures)


def test_fecs_answers_may_have_passed_through_pandas() -> None:
    box = "0.1,0.9,0.1,0.9"
    shown = ",".join(f"http://127.0.0.1:9/{i}.jpg,{box}" for i in range(3))
    row = f"{shown},TWO_CLASS_TRIPLET,a,3,b,1"
    plain = parse_csv("t.csv", io.BytesIO(row.encode()))
    for saved in (row.replace(",3,", ",3.0,").replace("b,1", "b,1.0"), "\ufeff" + row + "\r\n"):
        table = parse_csv("t.csv", io.BytesIO(saved.encode()))
        assert table.table.equals(plain.table)
        assert table.dropped == 0
