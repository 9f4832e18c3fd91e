"""The index of vectors while it is built: what is reported, and a stop that does no harm."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from demo.search.face_collection import FaceCollection
from registry.console import working
from tests.demo.search.test_face_collection import expressions, faces, indexes, write

ROWS = 2000


@pytest.fixture
def table() -> pa.Table:
    return faces(ROWS)


@contextmanager
def stopped(_sentence: str) -> Iterator[None]:
    """Stop what is done in the block, as by Ctrl-C."""
    raise KeyboardInterrupt
    yield


def test_a_build_that_is_stopped_does_no_harm_and_the_next_one_builds_it(
    table: pa.Table, tmp_path: Path
) -> None:
    file = write(table, tmp_path / "faces.parquet")
    collection = FaceCollection(tmp_path / "index", indexed_from=1000)
    with pytest.raises(KeyboardInterrupt):
        collection.add(file, building=stopped)
    assert indexes(collection) == {}
    assert collection.nearest(expressions(table)[7], 1)[0].file == "0-7.jpg"
    reported: list[str] = []

    @contextmanager
    def noted(sentence: str) -> Iterator[None]:
        reported.append(sentence)
        yield

    again = FaceCollection(tmp_path / "index", indexed_from=1000)
    assert again.add(file, building=noted) == 0
    assert indexes(again)["expression"].index_type == "IvfPq"
    grown = pa.concat_tables([table, faces(300, seed=3)])
    again.add(write(grown, tmp_path / "faces.parquet"), building=noted)
    again.add(tmp_path / "faces.parquet", building=noted)
    assert [sentence.split(";")[0] for sentence in reported] == [
        "Builds the index of 2,000 faces in 44 partitions",
        "Adds 300 faces to the index",
    ]
    assert all("the next search" in sentence for sentence in reported)


def test_work_without_a_known_end_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    with working("Builds it."):
        assert capsys.readouterr().err == "Builds it.\n"
    assert capsys.readouterr().err == ""
