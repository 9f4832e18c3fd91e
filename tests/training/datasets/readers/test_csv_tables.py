"""Tables as other systems leave them: each row is read, or refused with its line."""

import io

import pytest

from training.datasets.prepared import PreparedError
from training.datasets.readers.csv_tables import (
    TableColumns,
    read_rows,
    whole_number,
)
from training.datasets.readers.label_rows import RejectedRows

COLUMNS = TableColumns(
    needs=("file", "label"), order=("file", "label", "note"), aliases={"image": "file"}
)
PLAIN = "file,label,note\na.jpg,3,x\nb.jpg,4,y\n"


def rows(content: bytes) -> tuple[list[tuple[str, ...]], list[str]]:
    rejected = RejectedRows()
    found = list(read_rows("t.csv", lambda: io.BytesIO(content), COLUMNS, rejected))
    return [(row.location, *row.cells.values()) for row in found], rejected.notes


READ = [("t.csv line 2", "a.jpg", "3"), ("t.csv line 3", "b.jpg", "4")]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("a.jpg", '"a.jpg"').replace("file", '"Image"').encode(),
        PLAIN.replace(",", " , ").encode(),
        PLAIN.rstrip().encode() + b"\n\n  \n",
    ],
)
def test_the_same_rows_are_read_however_the_table_was_saved(content: bytes) -> None:
    assert rows(content) == (READ, [])


def test_a_table_without_a_header_has_the_known_columns() -> None:
    assert rows(PLAIN.partition("\n")[2].encode()) == (
        [("t.csv line 1", "a.jpg", "3"), ("t.csv line 2", "b.jpg", "4")],
        [],
    )


def test_a_stray_quote_or_comma_spoils_its_own_row_only() -> None:
    content = b'file,label,note\n"a.jpg,3,x\nb.jpg,4,y,z\n"c, d.jpg",5,x\n'
    assert rows(content) == (
        [("t.csv line 4", "c, d.jpg", "5")],
        [
            "1 dropped, quotes don't match: t.csv line 2 ('\"a.jpg,3,x').",
            "1 dropped, not 3 values: t.csv line 3 ('b.jpg,4,y,z').",
        ],
    )


def test_a_line_of_two_megabytes_is_one_faulty_line() -> None:
    content = b"file,label,note\n" + b"x" * (2 << 20) + b"\nb.jpg,4,y\n"
    found, notes = rows(content)
    assert found == [("t.csv line 3", "b.jpg", "4")]
    assert all("line 2" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"^t\.csv is empty; get that file again\.$"),
        (b"\xef\xbb\xbf\r\n", r"^t\.csv is empty; get that file again\.$"),
        (b"file,tag,note\n", r"^t\.csv has no column label; use the set's own file, whose first "),
    ],
)
def test_an_empty_table_or_one_that_lacks_a_column_is_refused(
    content: bytes, sentence: str
) -> None:
    with pytest.raises(PreparedError, match=sentence):
        rows(content)


def test_numbers_lose_what_pandas_adds_and_nothing_else() -> None:
    values = ["3", " 3.0 ", "3.", "+3", "03", "3.5", "-1", "nan", "", "three", "3.0.0"]
    assert [whole_number(value) for value in values] == [
        *("3", "3", "3", "3", "03", "3.5", "-1", "nan", "", "three", "3.0.0"),
    ]
