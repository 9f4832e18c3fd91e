"""Label codes, rows that can't be used, and splits that are drawn."""

import csv
import io
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog import EMOTIONS
from tests.training.datasets.trees import pack
from training.datasets.prepared import PreparedError
from training.datasets.readers import affectnet, rafd, rafdb
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import (
    AFFECTNET,
    AFFECTNET_WITHOUT,
    FERPLUS,
    RAFD,
    RAFDB,
    WORDS,
)
from training.datasets.readers.label_rows import SHOWN, RejectedRows, Row, filter_rows
from training.datasets.splits import drawn

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal"
)


def test_codes_of_other_sets_mean_what_was_published() -> None:
    words = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
    assert [EMOTIONS[AFFECTNET[str(code)]] for code in range(8)] == list(words)
    assert set(AFFECTNET_WITHOUT) == {"8", "9", "10"}
    assert [RAFDB[str(code)] for code in range(1, 8)] == [3, 4, 5, 1, 2, 6, 0]
    said = ("neutral", "happy", "sad", "surprised", "fearful", "disgusted", "angry", "contemptuous")
    assert [RAFD[word] for word in said] == [WORDS[word] for word in said] == list(range(8))
    assert FERPLUS[2:8] == ("surprise", "sad", "anger", "disgust", "fear", "contempt")
    assert {WORDS[w] for w in ("Happiness".lower(), "smile", "happy")} == {EMOTIONS.index("happy")}


def test_faulty_rows_are_named_up_to_a_number_and_then_counted() -> None:
    rows = [Row(f"list line {i}", f"{i}.jpg", str(i), "7" if i else "1") for i in range(SHOWN + 5)]
    losses = RejectedRows()
    assert len(filter_rows(rows, {"1": 0}, {row.member for row in rows}, losses)) == 1
    (note,) = losses.notes
    assert note.startswith("24 dropped, no such label: list line 1 ('7'), list line 2 ('7')")
    assert note.endswith("list line 20 ('7'), and 4 more.")


def test_repetitions_are_dropped_once_and_contradictions_altogether() -> None:
    rows = [
        Row("line 1", "a.jpg", "a", "1"),
        Row("line 2", "a.jpg", "a", "1"),
        Row("line 3", "b.jpg", "b", "1"),
        Row("line 4", "b.jpg", "b", "2"),
        Row("line 5", "c.jpg", "c", "2"),
    ]
    losses = RejectedRows()
    kept = filter_rows(rows, {"1": 0, "2": 1}, {"a.jpg", "b.jpg"}, losses)
    assert [(row.where, emotion) for row, emotion in kept] == [("line 1", 0)]
    assert losses.notes == [
        "2 dropped, contradicting labels: line 3 ('1'), line 4 ('2').",
        "1 dropped, a repetition: line 2 ('a.jpg').",
        "1 dropped, the photo isn't there: line 5 ('c.jpg').",
    ]


def test_a_draw_has_its_shares_and_moves_nobody_when_others_come() -> None:
    few, many = ([f"person {i}" for i in range(n)] for n in (2000, 4000))
    split, later = drawn(few, validation=0.1, test=0.1), drawn(many, validation=0.1, test=0.1)
    assert {key: later.get(key) for key in few} == {key: split.get(key) for key in few}
    assert all(150 < count < 250 for count in Counter(split.values()).values())
    assert set(drawn(few[:3], validation=0.1, test=0.1).values()) == {"validation", "test"}
    assert set(drawn(few[:2], validation=0.1, test=0.1).values()) == {"validation"}
    assert drawn(few[:1], validation=0.1, test=0.1) == {}
    assert set(drawn(few, validation=0.05).values()) == {"validation"}


CELLS = st.one_of(
    st.sampled_from(["0", "7", "8", "10", "11", "1/a.jpg", "2/b.png", "../c.jpg", "", "nan", "-1"]),
    st.text(st.characters(codec="utf-8", exclude_characters='"'), max_size=8),
)
LINES = st.lists(
    st.one_of(st.lists(CELLS, min_size=9, max_size=9), st.lists(CELLS, max_size=12)), max_size=12
)


def accounted(rows: list[Row], offered: int, codes: dict[str, int], losses: RejectedRows) -> None:
    """Check that every row is kept with an emotion or counted, or that all are refused."""
    try:
        kept = filter_rows(
            rows, codes, {row.member for row in rows[::2]}, losses, AFFECTNET_WITHOUT
        )
    except PreparedError:
        kept = []
    assert all(0 <= emotion < len(EMOTIONS) for _, emotion in kept)
    assert len({row.name for row, _ in kept}) == len(kept)
    assert len(kept) + sum(losses.counted.values()) == offered
    assert all("\n" not in note for note in losses.notes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


@given(lines=LINES)
def test_any_list_of_affectnet_is_kept_or_counted(lines: list[list[str]], folder: Path) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER.split(","), *lines])
    (folder / "training.csv").write_bytes(text.getvalue().encode())
    losses = RejectedRows()
    rows = list(affectnet.list_rows(Files(folder), "training.csv", "images/", losses))
    accounted(rows, len(lines), dict(AFFECTNET), losses)


@given(content=st.binary(max_size=300))
def test_any_bytes_as_a_list_of_affectnet_give_rows_or_a_sentence(
    content: bytes, folder: Path
) -> None:
    for start in (b"", HEADER.encode() + b"\n"):
        (folder / "training.csv").write_bytes(start + content)
        losses, rows = RejectedRows(), []
        with suppress(PreparedError):
            rows = list(affectnet.list_rows(Files(folder), "training.csv", "images/", losses))
        accounted(rows, len(rows) + sum(losses.counted.values()), dict(AFFECTNET), losses)


@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_label_of_affectnet_are_no_code(content: bytes) -> None:
    assert affectnet.label_of(content) not in AFFECTNET
    assert affectnet.label_of(b"\x93NUMPY\x01\x00" + content) not in AFFECTNET


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (3, "3"),
        ("3", "3"),
        (np.array([10]), "10"),
        (3.0, "no single value"),
        (np.array([3, 3]), "no single value"),
        (np.zeros(0, int), "no single value"),
        (np.zeros(999), "no label's file"),
    ],
)
def test_a_label_of_affectnet_is_one_whole_number_or_its_text(value: object, label: str) -> None:
    content = io.BytesIO()
    np.save(content, value)
    assert affectnet.label_of(content.getvalue()) == label


def test_a_pickled_label_isnt_opened() -> None:
    content = io.BytesIO()
    np.save(content, np.array([object()]), allow_pickle=True)
    assert affectnet.label_of(content.getvalue()) == "no array"


@given(lines=st.lists(st.one_of(st.text(max_size=30), st.from_regex(r"train_[0-9]\.jpg [0-9]"))))
def test_any_list_of_rafdb_is_kept_or_counted(lines: list[str]) -> None:
    content = "\n".join(lines).encode("utf-8", errors="replace")
    losses = RejectedRows()
    rows = list(rafdb.list_rows(content, losses))
    said = content.decode("utf-8-sig", errors="replace").split("\n")
    accounted(rows, sum(bool(line.split()) for line in said), dict(RAFDB), losses)


@given(names=st.lists(st.one_of(st.text(max_size=30), st.from_regex(rafd.NAME)), unique=True))
def test_any_names_of_rafd_are_kept_or_counted(names: list[str]) -> None:
    losses = RejectedRows()
    rows = rafd.name_rows(names, losses)
    accounted(rows, len(names), dict(RAFD), losses)


def test_thirty_thousand_rows_are_read_in_a_second(tmp_path: Path) -> None:
    row = ",0,0,224,224," + ";".join(["101.5"] * 136) + ",{},0.1,0.2\n"
    lines = [f"{i % 999}/{i}.jpg" + row.format(i % 11) for i in range(30_000)]
    source = Files(pack({"training.csv": HEADER + "\n" + "".join(lines)}, tmp_path / "list.zip"))
    there = {f"images/{i % 999}/{i}.jpg" for i in range(30_000)}
    began, losses = time.process_time(), RejectedRows()
    rows = affectnet.list_rows(source, "training.csv", "images/", losses)
    kept = filter_rows(rows, AFFECTNET, there, losses, AFFECTNET_WITHOUT)
    assert time.process_time() - began < 3
    assert len(kept) + sum(losses.counted.values()) == 30_000
    assert losses.counted["left out: uncertain"] == 2727
