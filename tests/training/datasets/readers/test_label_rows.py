"""Label maps, rows that can't be used, and splits that are drawn."""

import csv
import io
import re
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.catalog import EMOTIONS
from tests.training.datasets.trees import pack
from training.datasets.prepared import PreparedError
from training.datasets.readers import affectnet, rafd, rafdb
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.label_maps import (
    AFFECTNET,
    AFFECTNET_EXCLUDED,
    FERPLUS,
    RAFD,
    RAFDB,
    WORDS,
)
from training.datasets.readers.label_rows import MOST_NAMED, LabelRow, RejectedRows, filter_rows
from training.datasets.splits import draw_splits

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal"
)


def test_label_maps_agree_with_the_published_ones() -> None:
    words = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
    assert [EMOTIONS[AFFECTNET[str(code)]] for code in range(8)] == list(words)
    assert set(AFFECTNET_EXCLUDED) == {"8", "9", "10"}
    assert [RAFDB[str(code)] for code in range(1, 8)] == [3, 4, 5, 1, 2, 6, 0]
    rafd = ("neutral", "happy", "sad", "surprised", "fearful", "disgusted", "angry", "contemptuous")
    assert [RAFD[word] for word in rafd] == [WORDS[word] for word in rafd] == list(range(8))
    assert FERPLUS[2:8] == ("surprise", "sad", "anger", "disgust", "fear", "contempt")
    assert {WORDS[w] for w in ("Happiness".lower(), "smile", "happy")} == {EMOTIONS.index("happy")}


def test_the_first_faulty_rows_are_named_and_the_others_counted() -> None:
    rows = [
        LabelRow(f"list line {i}", f"{i}.jpg", str(i), "7" if i else "1")
        for i in range(MOST_NAMED + 5)
    ]
    rejected = RejectedRows()
    assert len(filter_rows(rows, {"1": 0}, {row.member for row in rows}, rejected)) == 1
    (note,) = rejected.notes
    assert note.startswith("24 dropped, unknown label: list line 1 ('7'), list line 2 ('7')")
    assert note.endswith("list line 20 ('7'), and 4 more.")


def test_one_of_two_duplicates_is_dropped_and_both_of_two_contradictions() -> None:
    rows = [
        LabelRow("line 1", "a.jpg", "a", "1"),
        LabelRow("line 2", "a.jpg", "a", "1"),
        LabelRow("line 3", "b.jpg", "b", "1"),
        LabelRow("line 4", "b.jpg", "b", "2"),
        LabelRow("line 5", "c.jpg", "c", "2"),
    ]
    rejected = RejectedRows()
    usable = filter_rows(rows, {"1": 0, "2": 1}, {"a.jpg", "b.jpg"}, rejected)
    assert [(row.location, emotion) for row, emotion in usable] == [("line 1", 0)]
    assert rejected.notes == [
        "2 dropped, contradicting labels: line 3 ('1'), line 4 ('2').",
        "1 dropped, a duplicate: line 2 ('a.jpg').",
        "1 dropped, the photo is missing: line 5 ('c.jpg').",
    ]


def test_splits_have_the_given_shares_and_do_not_change_when_others_are_added() -> None:
    few, many = ([f"person {i}" for i in range(n)] for n in (2000, 4000))
    split, later = (
        draw_splits(few, validation=0.1, test=0.1),
        draw_splits(many, validation=0.1, test=0.1),
    )
    assert {key: later.get(key) for key in few} == {key: split.get(key) for key in few}
    assert all(150 < count < 250 for count in Counter(split.values()).values())
    assert set(draw_splits(few[:3], validation=0.1, test=0.1).values()) == {"validation", "test"}
    assert set(draw_splits(few[:2], validation=0.1, test=0.1).values()) == {"validation"}
    assert draw_splits(few[:1], validation=0.1, test=0.1) == {}
    assert set(draw_splits(few, validation=0.05).values()) == {"validation"}


CELLS = st.one_of(
    st.sampled_from(["0", "7", "8", "10", "11", "1/a.jpg", "2/b.png", "../c.jpg", "", "nan", "-1"]),
    st.text(st.characters(codec="utf-8", exclude_characters='"\r\n'), max_size=8),
)
LINES = st.lists(
    st.one_of(st.lists(CELLS, min_size=9, max_size=9), st.lists(CELLS, max_size=12)), max_size=12
)


def check_accounted(
    rows: list[LabelRow], offered: int, codes: dict[str, int], rejected: RejectedRows
) -> None:
    """Check that every row is returned with an emotion or counted, or that all are refused."""
    try:
        usable = filter_rows(
            rows, codes, {row.member for row in rows[::2]}, rejected, AFFECTNET_EXCLUDED
        )
    except PreparedError:
        usable = []
    assert all(0 <= emotion < len(EMOTIONS) for _, emotion in usable)
    assert len({row.name for row, _ in usable}) == len(usable)
    assert len(usable) + sum(rejected.counts.values()) == offered
    assert all("\n" not in note for note in rejected.notes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


@settings(deadline=None)
@given(lines=LINES)
def test_any_list_of_affectnet_is_used_or_counted(lines: list[list[str]], folder: Path) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER.split(","), *lines])
    (folder / "training.csv").write_bytes(text.getvalue().encode())
    rejected = RejectedRows()
    rows = list(affectnet.read_list(DatasetFiles(folder), "training.csv", "images/", rejected))
    offered = sum(bool(line.strip()) for line in text.getvalue().split("\r\n")[1:])
    check_accounted(rows, offered, dict(AFFECTNET), rejected)


@settings(deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_as_a_list_of_affectnet_are_counted_or_refused(
    content: bytes, folder: Path
) -> None:
    for start in (b"", HEADER.encode() + b"\n"):
        (folder / "training.csv").write_bytes(start + content)
        rejected, rows = RejectedRows(), []
        with suppress(PreparedError):
            rows = list(
                affectnet.read_list(DatasetFiles(folder), "training.csv", "images/", rejected)
            )
        check_accounted(rows, len(rows) + sum(rejected.counts.values()), dict(AFFECTNET), rejected)


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_label_of_affectnet_are_no_label(content: bytes) -> None:
    assert affectnet.parse_label(content) not in AFFECTNET
    assert affectnet.parse_label(b"\x93NUMPY\x01\x00" + content) not in AFFECTNET


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (3, "3"),
        ("3", "3"),
        (np.array([10]), "10"),
        (3.0, "not a single integer"),
        (np.array([3, 3]), "not a single integer"),
        (np.zeros(0, int), "not a single integer"),
        (np.zeros(999), "not a label file"),
    ],
)
def test_a_label_of_affectnet_is_one_whole_number_or_its_text(value: object, label: str) -> None:
    content = io.BytesIO()
    np.save(content, value)
    assert affectnet.parse_label(content.getvalue()) == label


def test_a_pickled_label_is_not_unpickled() -> None:
    content = io.BytesIO()
    np.save(content, np.array([object()]), allow_pickle=True)
    assert affectnet.parse_label(content.getvalue()) == "not an array"


@settings(deadline=None)
@given(texts=st.lists(st.one_of(st.text(max_size=30), st.from_regex(r"train_[0-9]\.jpg [0-9]"))))
def test_any_list_of_rafdb_is_used_or_counted(texts: list[str]) -> None:
    content = "\n".join(texts).encode("utf-8", errors="replace")
    rejected = RejectedRows()
    rows = list(rafdb.parse_list(content, rejected))
    lines = re.split("[\r\n]", content.decode("utf-8-sig"))
    check_accounted(rows, sum(bool(line.split()) for line in lines), dict(RAFDB), rejected)


@settings(deadline=None)
@given(names=st.lists(st.one_of(st.text(max_size=30), st.from_regex(rafd.NAME)), unique=True))
def test_any_names_of_rafd_are_used_or_counted(names: list[str]) -> None:
    rejected = RejectedRows()
    rows = rafd.parse_names(names, rejected)
    check_accounted(rows, len(names), dict(RAFD), rejected)


def test_thirty_thousand_rows_are_read_in_a_second(tmp_path: Path) -> None:
    row = ",0,0,224,224," + ";".join(["101.5"] * 136) + ",{},0.1,0.2\n"
    lines = [f"{i % 999}/{i}.jpg" + row.format(i % 11) for i in range(30_000)]
    source = DatasetFiles(
        pack({"training.csv": HEADER + "\n" + "".join(lines)}, tmp_path / "list.zip")
    )
    members = {f"images/{i % 999}/{i}.jpg" for i in range(30_000)}
    start, rejected = time.process_time(), RejectedRows()
    rows = affectnet.read_list(source, "training.csv", "images/", rejected)
    usable = filter_rows(rows, AFFECTNET, members, rejected, AFFECTNET_EXCLUDED)
    assert time.process_time() - start < 3
    assert len(usable) + sum(rejected.counts.values()) == 30_000
    assert rejected.counts["left out: uncertain"] == 2727
