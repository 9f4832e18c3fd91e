"""Tables are read though another process deletes their older versions at that moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from lancedb.db import LanceDBConnection

from demo.search.face_collection import FACES, FaceCollection
from demo.search.tables import FileRow, IndexFailed, Tables

VECTOR = np.array([1.0, 0.0], np.float32)
FACE = {"digest": "d", "face": 1, "box": [0.0, 0.0, 1.0, 1.0], "expression": [1.0, 0.0]}


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    tables = Tables(tmp_path, "dln-1-1")
    tables.add_faces([FACE])
    tables.add_files([FileRow("a.jpg", 1, 1, "d", True)])
    return tables


@pytest.fixture
def collection(tmp_path: Path) -> FaceCollection:
    vectors = pa.array([VECTOR], pa.list_(pa.float32(), len(VECTOR)))
    columns = {"file": ["a.jpg"], "face": [1], "expression": vectors, "person": ["Ann"]}
    lancedb.connect(tmp_path).create_table(FACES, pa.table(columns))
    return FaceCollection(tmp_path)


def missing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let LanceDB find no table so many times, as while older versions are deleted."""
    left, found = [times], LanceDBConnection.open_table

    def open_table(*arguments: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise ValueError("Table 'faces' was not found")
        return found(*arguments, **options)

    monkeypatch.setattr(LanceDBConnection, "open_table", open_table)


READS: dict[str, Callable[[Tables], Any]] = {
    "files": lambda tables: len(tables.files()),
    "digests": lambda tables: len(tables.digests()),
    "faces": lambda tables: tables.count_faces(),
    "nearest": lambda tables: len(tables.nearest(VECTOR, None, 1, None)),
}
ASKED: dict[str, Callable[[FaceCollection], Any]] = {
    "columns": lambda faces: len(faces.columns),
    "count": lambda faces: faces.count(),
    "values": lambda faces: len(faces.values("person", 9)),
    "nearest": lambda faces: len(faces.nearest(VECTOR, 1)),
}


@pytest.mark.parametrize("read", READS)
def test_a_folders_tables_are_read_again(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    missing(monkeypatch, 2)
    assert READS[read](tables) == 1


@pytest.mark.parametrize("read", ASKED)
def test_the_tables_of_a_collection_are_read_again(
    collection: FaceCollection, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    missing(monkeypatch, 2)
    assert ASKED[read](collection) == 1


def test_tables_that_stay_unreadable_get_a_sentence(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing(monkeypatch, 10**6)
    with pytest.raises(IndexFailed, match="was not found"):
        tables.count_faces()
