"""The faces of a table that `embed` wrote, in LanceDB: on disk or in an object store."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.search.tables import IndexFailed
from demo.search.vectors import INDEXED_FROM, Vector, has_index, refresh_index, search_near
from registry.errors import first_line

logger = logging.getLogger(__name__)

FACES = "faces"
FILTERS = ("person", "emotion", "set")
"""Columns that a table may have, by which faces can be chosen."""
ROWS_AT_ONCE = 50_000
"""So many rows are written together; those of a killed process are read again."""
STORE_OPTIONS = {
    "AWS_ENDPOINT_URL": "aws_endpoint",
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
    "AWS_DEFAULT_REGION": "aws_region",
}
"""Variables of the environment for an object store, and LanceDB's options."""


class BadTable(ValueError):
    """A Parquet file is no table of faces, or lacks what is asked; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class FoundFace:
    """A face near in expression; `face` counts from 1. The distance is Euclidean, 0 to 2."""

    file: str
    face: int
    distance: float
    filters: Mapping[str, str]


class FaceCollection:
    """A table of faces with their expressions, and an index of them from INDEXED_FROM rows on.

    Args:
        address: A folder, or the address of an object store such as s3://bucket/faces, whose
            credentials are in AWS's variables of the environment.
        indexed_from: From how many rows on there is an index.

    All methods raise IndexFailed where it can't be read or written.
    """

    def __init__(self, address: str | Path, indexed_from: int = INDEXED_FROM) -> None:
        self.address = str(address)
        self._indexed_from = indexed_from
        with self._failures():
            import lancedb

            remote = "://" in self.address
            self._database = lancedb.connect(
                self.address, storage_options=_store_options() if remote else None
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of FILTERS that the faces have."""
        table = self._open()
        names = () if table is None else table.schema.names
        return tuple(name for name in FILTERS if name in names)

    def count(self) -> int:
        """Return the number of faces."""
        table = self._open()
        with self._failures():
            return 0 if table is None else int(table.count_rows())

    def add(self, parquet: Path, tracked: Callable[[range], Any] = iter) -> int:
        """Add the rows of a Parquet file that are missing here; return how many.

        Rows are added in their order, so that a stopped run goes on where it was, and a file that
        grew costs only what is new. Where the last row added isn't in its place, all are added
        again.

        Args:
            parquet: A table with `file`, `face` and `expression`, and perhaps those of FILTERS.
            tracked: Shows the progress over the numbers of the chunks that are left.

        Raises:
            BadTable: It is no such table.
        """
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(parquet) as file:
                return self._add(file, tracked)
        except (OSError, ValueError, KeyError) as error:
            raise BadTable(
                f"{parquet} is no table of faces ({first_line(error)}): name one that "
                "`python -m demo embed` wrote."
            ) from error

    def _add(self, file: Any, tracked: Callable[[range], Any]) -> int:
        count, rows = self.count(), int(file.metadata.num_rows)
        if count > rows or (count and not self._continues(file, count)):
            with self._failures():
                self._database.drop_table(FACES)
            count = 0
        chunks = file.iter_batches(ROWS_AT_ONCE, columns=_columns(file))
        for start in tracked(range(0, rows, ROWS_AT_ONCE)):
            batch = _faces(next(chunks))
            if start + len(batch) > count:
                with self._failures():
                    table = self._database.create_table(FACES, schema=batch.schema, exist_ok=True)
                    table.add(batch.slice(max(0, count - start)))
        self.refresh()
        return rows - count

    def refresh(self) -> None:
        """Build the indexes where they are due, or add to them the rows that they lack."""
        from lancedb.index import Bitmap, BTree

        table = self._open()
        if table is None:
            return
        with self._failures():
            refresh_index(table, "expression", self._indexed_from)
            if has_index(table, "expression"):
                for name in (name for name in self.columns if not has_index(table, name)):
                    table.create_index(name, config=BTree() if name == "person" else Bitmap())

    def nearest(
        self, expression: Vector, count: int, filters: Mapping[str, str] | None = None
    ) -> list[FoundFace]:
        """Return the faces nearest in expression, nearest first.

        Args:
            expression: A face's expression.
            count: How many to return.
            filters: Values of some of FILTERS that the faces must have.

        Raises:
            BadTable: The faces have no such column.
        """
        table, wanted = self._open(), filters or {}
        if table is None:
            return []
        missing = [name for name in wanted if name not in self.columns]
        if missing:
            raise BadTable(f"The table has no column {missing[0]!r} to choose faces by.")
        shown = ["file", "face", *self.columns, "_distance"]
        with self._failures():
            query = search_near(table, "expression", expression, _condition(wanted))
            rows = query.select(shown).limit(count).to_list()
        return [_found(row) for row in rows]

    def _continues(self, file: Any, count: int) -> bool:
        """Return whether the last row added is still in its place in a file."""
        table = self._open()
        assert table is not None
        with self._failures():
            ours = table.search().offset(count - 1).limit(1).to_list()[0]
        seen = 0
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=_columns(file)):
            if seen + len(batch) >= count:
                return bool(_faces(batch).slice(count - 1 - seen, 1).to_pylist()[0] == ours)
            seen += len(batch)
        return False

    def _open(self) -> Any:
        with self._failures():
            found = FACES in self._database.list_tables().tables
            return self._database.open_table(FACES) if found else None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn LanceDB's failures into one sentence, without what they say of credentials."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            logger.warning("The index at %s fails.", self.address, exc_info=error)
            raise IndexFailed(
                f"The index at {self.address} can't be read or written: see whether it can be "
                "reached and has room; the log file names the cause."
            ) from None


def _store_options() -> dict[str, str]:
    options = {
        option: os.environ[name] for name, option in STORE_OPTIONS.items() if os.environ.get(name)
    }
    plain = options.get("aws_endpoint", "").startswith("http://")
    return options | ({"allow_http": "true"} if plain else {})


def _columns(file: Any) -> list[str]:
    names = file.schema_arrow.names
    missing = [name for name in ("file", "face", "expression") if name not in names]
    if missing:
        raise KeyError(f"it has no column {missing[0]!r}")
    return ["file", "face", "expression", *(name for name in FILTERS if name in names)]


def _faces(batch: Any) -> Any:
    """Return rows as LanceDB takes them: vectors of one length, filters as text."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    dims = len(batch["expression"][0])
    types = {"file": pa.string(), "face": pa.int64(), "expression": pa.list_(pa.float32(), dims)}
    return table.cast(
        pa.schema({name: types.get(name, pa.string()) for name in table.column_names})
    )


def _condition(filters: Mapping[str, str]) -> str:
    """Return a condition in SQL; a quote within a value is doubled."""
    quoted = {name: value.replace("'", "''") for name, value in filters.items()}
    return " AND ".join(f"`{name}` = '{value}'" for name, value in quoted.items())


def _found(row: Mapping[str, Any]) -> FoundFace:
    return FoundFace(
        file=row["file"],
        face=row["face"],
        distance=max(0.0, row["_distance"]) ** 0.5,
        filters={name: row[name] for name in FILTERS if row.get(name) is not None},
    )
