"""A table of faces in LanceDB: what its index finds, what it adds, how it goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jaxtyping import Float

from demo.search import face_collection, vectors
from demo.search.face_collection import FaceCollection
from demo.search.face_rows import BadTable
from demo.search.tables import IndexFailed

COUNT = 8000
EMOTIONS = ("happy", "sad", "it's mixed")
Vectors = Float[np.ndarray, "rows 16"]


def faces(count: int, seed: int = 0) -> pa.Table:
    """Return faces of persons with expressions around eight centres, on the unit sphere."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(8, 16))
    drawn = centres[rng.integers(0, 8, count)] + 0.3 * rng.normal(size=(count, 16))
    unit = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return pa.table(
        {
            "file": [f"{seed}-{number}.jpg" for number in range(count)],
            "face": pa.array([1] * count, pa.int64()),
            "expression": pa.array(list(unit), pa.list_(pa.float32())),
            "person": [f"p{number % 40}" for number in range(count)],
            "emotion": [EMOTIONS[number % 3] for number in range(count)],
            "set": ["rafd" if number < count // 2 else "ferplus" for number in range(count)],
        }
    )


def write(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path)
    return path


def expressions(table: pa.Table) -> Vectors:
    return np.stack(table["expression"].to_numpy(zero_copy_only=False))


def nearest_by_loop(table: pa.Table, query: np.ndarray, **filters: str) -> list[str]:
    rows = [
        (float(np.sum((np.array(row["expression"]) - query) ** 2)), row["file"])
        for row in table.to_pylist()
        if all(row[name] == value for name, value in filters.items())
    ]
    return [name for _, name in sorted(rows)[:10]]


def recall(collection: FaceCollection, table: pa.Table, **filters: str) -> float:
    queries = expressions(faces(10, seed=5))
    shares = []
    for query in queries:
        found = {each.file for each in collection.nearest(query, 10, filters)}
        shares.append(len(found & set(nearest_by_loop(table, query, **filters))) / 10)
    return float(np.mean(shares))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return faces(COUNT)


@pytest.fixture(scope="module")
def indexed(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> FaceCollection:
    folder = tmp_path_factory.mktemp("indexed")
    collection = FaceCollection(folder / "index", indexed_from=COUNT)
    assert collection.add(write(table, folder / "faces.parquet")) == COUNT
    return collection


def indexes(collection: FaceCollection) -> dict[str, Any]:
    import lancedb

    opened = lancedb.connect(collection.address).open_table(face_collection.FACES)
    return {each.columns[0]: each for each in opened.list_indices()}


def test_a_table_has_an_index_from_its_size_on(
    indexed: FaceCollection, table: pa.Table, tmp_path: Path
) -> None:
    assert indexes(indexed)["expression"].index_type == "IvfPq"
    assert set(indexes(indexed)) == {"expression", "person", "emotion", "set"}
    small = FaceCollection(tmp_path / "small", indexed_from=COUNT)
    small.add(write(table.slice(1), tmp_path / "small.parquet"))
    assert indexes(small) == {}
    assert recall(small, table.slice(1)) == 1


def test_the_index_finds_what_a_comparison_of_all_finds(
    indexed: FaceCollection, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "PROBES", 30)  # of the 89 partitions
    assert recall(indexed, table) >= 0.98
    monkeypatch.setattr(vectors, "PROBES", 1)
    assert recall(indexed, table) < 0.98  # so that it is the index that was asked


@pytest.mark.parametrize(
    "filters",
    [
        {"person": "p7"},
        {"emotion": "it's mixed"},
        {"set": "rafd"},
        {"person": "p7", "emotion": "sad", "set": "ferplus"},
    ],
)
@pytest.mark.parametrize("compared_below", [0, 10**6])
def test_filters_find_the_nearest_of_those_that_meet_them(
    indexed: FaceCollection,
    table: pa.Table,
    filters: dict[str, str],
    compared_below: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vectors, "COMPARED_BELOW", compared_below)
    assert recall(indexed, table, **filters) >= (1 if compared_below else 0.98)
    found = indexed.nearest(expressions(table)[0], 5, filters)
    assert all(each.labels.items() >= filters.items() for each in found)


def test_rows_that_are_added_later_are_found_and_indexed(table: pa.Table, tmp_path: Path) -> None:
    collection = FaceCollection(tmp_path / "index", indexed_from=1000)
    first = table.slice(0, 2000)
    collection.add(write(first, tmp_path / "faces.parquet"))
    more = pa.concat_tables([first, faces(300, seed=3)])
    assert collection.add(write(more, tmp_path / "faces.parquet")) == 300
    assert collection.nearest(expressions(more)[2100], 1)[0].file == "3-100.jpg"
    assert indexes(collection)["expression"].num_unindexed_rows == 0
    assert collection.add(tmp_path / "faces.parquet") == 0


def test_a_stopped_run_goes_on_where_it_was(
    table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_collection, "ROWS_AT_ONCE", 500)
    file = write(table.slice(0, 2000), tmp_path / "faces.parquet")

    def stop_at_the_third(chunks: range) -> Iterator[int]:
        yield from chunks[:2]
        raise KeyboardInterrupt

    collection = FaceCollection(tmp_path / "index", indexed_from=1000)
    with pytest.raises(KeyboardInterrupt):
        collection.add(file, stop_at_the_third)
    assert collection.count() == 1000
    again = FaceCollection(tmp_path / "index", indexed_from=1000)
    assert again.add(file) == 1000
    assert again.count() == 2000
    names = {each.file for each in again.nearest(expressions(table)[0], 2000)}
    assert len(names) == 2000


def test_another_table_replaces_the_faces(table: pa.Table, tmp_path: Path) -> None:
    collection = FaceCollection(tmp_path / "index")
    collection.add(write(table.slice(0, 100), tmp_path / "faces.parquet"))
    other = faces(200, seed=4)
    assert collection.add(write(other, tmp_path / "faces.parquet")) == 200
    assert all(each.file.startswith("4-") for each in collection.nearest(np.eye(16)[0], 50))


def test_what_is_no_table_of_faces_is_named(table: pa.Table, tmp_path: Path) -> None:
    collection = FaceCollection(tmp_path / "index")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(BadTable, match=r"text\.parquet is no table of faces"):
        collection.add(tmp_path / "text.parquet")
    with pytest.raises(BadTable, match="no column 'face'"):
        collection.add(write(table.drop_columns(["face"]), tmp_path / "less.parquet"))
    plain = table.slice(0, 10).drop_columns(["person", "emotion", "set"])
    collection.add(write(plain, tmp_path / "plain.parquet"))
    with pytest.raises(BadTable, match="no column 'person'"):
        collection.nearest(np.eye(16)[0], 5, {"person": "p1"})
    with pytest.raises(BadTable, match="have 16 numbers, and those of the dln in production 8"):
        collection.nearest(np.eye(8)[0], 5)


@pytest.mark.parametrize(
    ("expression", "words"),
    [(None, "no expression"), ([np.nan] * 16, "no number"), ([0.5] * 8, "no table of faces")],
)
def test_an_expression_that_is_no_vector_is_one_sentence(
    table: pa.Table, tmp_path: Path, expression: list[float] | None, words: str
) -> None:
    values = [*table["expression"].to_pylist()[:3], expression]
    column = pa.array(values, pa.list_(pa.float32()))
    at = table.schema.get_field_index("expression")
    file = write(table.slice(0, 4).set_column(at, "expression", column), tmp_path / "bad.parquet")
    with pytest.raises(BadTable, match=words):
        FaceCollection(tmp_path / "index").add(file)


def test_a_row_that_changed_in_the_middle_is_taken_again(table: pa.Table, tmp_path: Path) -> None:
    first = table.slice(0, 100)
    collection = FaceCollection(tmp_path / "index")
    collection.add(write(first, tmp_path / "faces.parquet"))
    other = faces(1, seed=8)
    changed = pa.concat_tables([first.slice(0, 50), other, first.slice(51)])
    collection.add(write(changed, tmp_path / "faces.parquet"))
    (found,) = collection.nearest(expressions(other)[0], 1)
    assert (found.file, found.distance) == ("8-0.jpg", pytest.approx(0, abs=1e-3))
    assert collection.count() == 100


def test_a_damaged_index_is_not_taken_for_a_bad_table(table: pa.Table, tmp_path: Path) -> None:
    file = write(table.slice(0, 100), tmp_path / "faces.parquet")
    FaceCollection(tmp_path / "index").add(file)
    for path in (tmp_path / "index").rglob("*.lance/*/*"):
        path.write_bytes(b"damaged")
    with pytest.raises(IndexFailed, match="can't be read or written"):
        FaceCollection(tmp_path / "index").add(file)
