import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.datasets.fec.rows import flickr, row, write_parts
from training.datasets.fec import reader
from training.datasets.fec.fec_csv import EDGES, MOST_NAMED, TYPES, parse_csv

BAD = {
    row(flickr(1, 2, 3)).rsplit(",", 1)[0]: "number of columns is wrong",
    row(flickr(1, 2, 3)) + ",5,1": "number of columns is wrong",
    '"' + row(flickr(1, 2, 3)): "quotes don't match",
    row(flickr(1, 2, 3), "333334"): "answer_6 isn't 1, 2 or 3 by a named annotator: '4'",
    row(flickr(1, 2, 3), "33333 "): "answer_6 isn't 1, 2 or 3 by a named annotator: ''",
    row(flickr(1, 2, 3), kind="FOUR"): "type is unknown: 'FOUR'",
    row(flickr(1, 2, 3), box="0.5,0.4,0.1,0.2"): "box_1 isn't left < right.*: '0.5, 0.4, 0.1, 0.2'",
    row(flickr(1, 2, 3), box="0.5,1.1,0.1,0.2"): "box_1 isn't",
    row(flickr(1, 2, 3), box="0.5,nan,0.1,0.2"): "box_1 isn't",
    row(("ftp://a/b.jpg", *flickr(1, 2, 3)[1:])): "url_1 isn't an http or https address: 'ftp://",
    row((*flickr(1, 2, 3)[:2], "file:///etc/passwd")): "url_3 isn't an http",
    row(flickr(1, 2, 1)): "url_1 is the same face as url_3",
    "h\u00e9\x00": "number of columns is wrong",
}


@pytest.mark.parametrize(("line", "reason"), BAD.items())
def test_a_bad_row_is_dropped_and_named(line: str, reason: str, tmp_path: Path) -> None:
    source = write_parts(
        tmp_path / "fec", train=[row(flickr(1, 2, 3)), "", line, row(flickr(4, 5, 6))]
    )
    dataset = reader.read(source)
    assert len(dataset.triplets.table) == 2
    assert f"{reader.PARTS['train']}: 3 rows, 1 dropped." in dataset.notes
    assert re.search(
        f"^{reader.PARTS['train']}, line 3: .*{reason}", "\n".join(dataset.notes), re.M
    )


def test_the_first_bad_rows_are_named_and_all_are_counted(tmp_path: Path) -> None:
    lines = [row(flickr(1, 2, 3)), *["bad"] * 10, *[row(flickr(1, 2, 3), "9")] * 30]
    notes = reader.read(write_parts(tmp_path / "fec", train=lines)).notes
    assert f"{reader.PARTS['train']}: 41 rows, 40 dropped." in notes
    assert sum(", line " in note for note in notes) == MOST_NAMED
    assert f"{reader.PARTS['train']}: and 20 more rows." in notes


CELLS = st.one_of(
    st.sampled_from(
        ['"http://a/b.jpg"', "https://c/d", "0.1", "0.9", "1e99", "-1", "", " ", *TYPES, "1", "3"]
    ),
    st.text('",\r\x00 aé1.', max_size=6),
)
LINES = st.one_of(
    st.just(row(flickr(1, 2, 3))),
    st.sampled_from(list(BAD)),
    st.lists(CELLS, max_size=30).map(",".join),
    st.tuples(st.integers(0, 27), CELLS).map(
        lambda change: ",".join(
            change[1] if i == change[0] else cell
            for i, cell in enumerate(row(flickr(1, 2, 3)).split(","))
        )
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(LINES, max_size=8).map(lambda r: "\n".join(r).encode()), st.binary()))
def test_every_row_of_any_bytes_is_used_or_dropped(content: bytes) -> None:
    part = parse_csv("any.csv", io.BytesIO(content))
    rows = content.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    assert len(part.table) + part.dropped == sum(bool(row.strip(WHITE)) for row in rows)
    assert len(part.faults) == min(part.dropped, MOST_NAMED)
    good = row(flickr(1, 2, 3)).encode()
    assert len(part.table) >= sum(line.rstrip(b"\r") == good for line in content.split(b"\n"))
    for i in (1, 2, 3):
        box = np.column_stack([part.table[f"{edge}_{i}"].to_numpy() for edge in EDGES])
        assert ((box >= 0) & (box <= 1)).all()
    assert set(part.table["answer_1"].to_pylist()) <= {0, 1, 2, 3}


WHITE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
