"""The faces of a table that `embed` wrote, in LanceDB: on disk or in an object store."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.answers import Box
from demo.face_labels import LABELS
from demo.search.face_rows import BadTable, columns, faces, opened
from demo.search.lance import connect
from demo.search.tables import IndexFailed, read_again
from demo.search.vectors import (
    INDEXED_FROM,
    Building,
    Vector,
    has_index,
    quietly,
    refresh_index,
    search_near,
)

logger = logging.getLogger(__name__)

FACES, ADDED = "expression_studio_faces", "expression_studio_added"
"""Tables of LanceDB, which may lie beside a user's own, such as a faces.lance of `embed`. The
second has one row: which Parquet file the faces are of, its size and its time."""
ROWS_AT_ONCE = 50_000
"""So many rows are written together; those of a killed process are read again."""


@dataclass(frozen=True, kw_only=True)
class FoundFace:
    """A face near in expression; `face` counts from 1. The distance is Euclidean, 0 to 2.

    `box` is None where the table has none.
    """

    file: str
    face: int
    distance: float
    labels: Mapping[str, str]
    box: Box | None = None


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
            self._database = connect(address)

    @property
    @read_again
    def columns(self) -> tuple[str, ...]:
        """Those of LABELS that the faces have."""
        return tuple(name for name in LABELS if name in self._names())

    @read_again
    def count(self) -> int:
        """Return the number of faces."""
        table = self._open(FACES)
        with self._failures():
            return 0 if table is None else int(table.count_rows())

    @read_again
    def values(self, name: str, most: int) -> list[str]:
        """Return the values that faces have of one of LABELS, sorted; at most `most` of them."""
        table, found = self._open(FACES), set[str]()
        if table is None:
            return []
        with self._failures():
            for batch in table.search().select([name]).limit(table.count_rows()).to_batches():
                found.update(batch[name].unique().drop_null().to_pylist())
                if len(found) >= most:
                    break
        return sorted(found)[:most]

    def add(
        self,
        parquet: Path,
        tracked: Callable[[range], Any] = iter,
        building: Building = quietly,
    ) -> int:
        """Add the rows of a Parquet file that are missing here; return how many.

        Rows are added in their order, so that a stopped run goes on where it was, and a file that
        grew costs only what is new. Where a row added is not in its place in the file any more,
        all are added again.

        Args:
            parquet: A table with `file`, `face` and `expression`, and perhaps `box` and LABELS.
            tracked: Shows the progress over the numbers of the chunks that are left.
            building: As for `refresh_index`.

        Raises:
            BadTable: It is no such table.
        """
        with opened(parquet) as file:
            names = columns(file)
            info = parquet.stat()
            source = {"size": info.st_size, "modified_ns": info.st_mtime_ns}
            rows = int(file.metadata.num_rows)
            added = 0
            if not self._is_of(source, rows):
                added = self._add(file, rows, names, tracked)
                with self._failures():
                    self._database.create_table(ADDED, [source], mode="overwrite")
        self.refresh(building)
        return added

    def _add(self, file: Any, rows: int, names: list[str], tracked: Callable[[range], Any]) -> int:
        count = self.count()
        if count and not self._begins_with(file, count, rows, names):
            self.drop()
            count = 0
        chunks = file.iter_batches(ROWS_AT_ONCE, columns=names)
        for start in tracked(range(0, rows, ROWS_AT_ONCE)):
            batch = faces(next(chunks))
            if start + len(batch) > count:
                with self._failures():
                    table = self._database.create_table(FACES, schema=batch.schema, exist_ok=True)
                    table.add(batch.slice(max(0, count - start)))
        return rows - count

    def refresh(self, building: Building = quietly) -> None:
        """Build the indexes where they are due, or add to them the rows that they lack."""
        from lancedb.index import Bitmap, BTree

        table = self._open(FACES)
        if table is None:
            return
        with self._failures():
            refresh_index(table, "expression", self._indexed_from, building)
            if has_index(table, "expression"):
                for name in (name for name in self.columns if not has_index(table, name)):
                    table.create_index(name, config=BTree() if name == "person" else Bitmap())

    def drop(self) -> None:
        """Delete all faces and their index for good."""
        with self._failures():
            for name in (ADDED, FACES):
                self._database.drop_table(name, ignore_missing=True)

    @read_again
    def nearest(
        self, expression: Vector, count: int, filters: Mapping[str, str] | None = None
    ) -> list[FoundFace]:
        """Return the faces nearest in expression, nearest first.

        Args:
            expression: A face's expression.
            count: How many to return.
            filters: Values of some of LABELS that the faces must have.

        Raises:
            BadTable: The faces have no such column, or expressions of another length.
        """
        table, wanted, names = self._open(FACES), filters or {}, self._names()
        if table is None:
            return []
        missing = [name for name in wanted if name not in self.columns]
        if missing:
            raise BadTable(f"The table has no column {missing[0]!r} to choose faces by.")
        dims = table.schema.field("expression").type.list_size
        if dims != len(expression):
            raise BadTable(
                f"The table's expressions have {dims} numbers, and those of the dln in production "
                f"{len(expression)}: make the table again with `python -m demo embed`."
            )
        shown = [*(name for name in names if name != "expression"), "_distance"]
        with self._failures():
            query = search_near(table, "expression", expression, _condition(wanted))
            rows = query.select(shown).limit(count).to_list()
        return [_found(row) for row in rows]

    def _is_of(self, source: Mapping[str, int], rows: int) -> bool:
        """Return whether all rows of a Parquet file of this size and time are here."""
        added = self._open(ADDED)
        with self._failures():
            known = [] if added is None else added.to_arrow().to_pylist()
        return known == [source] and self.count() == rows

    def _begins_with(self, file: Any, count: int, rows: int, names: list[str]) -> bool:
        """Return whether the first `count` rows of a file are the faces here."""
        table = self._open(FACES)
        if count > rows or table is None or names != table.schema.names:
            return False
        done = 0
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=names):
            theirs = faces(batch).slice(0, count - done)
            with self._failures():
                ours = table.search().offset(done).limit(len(theirs)).to_arrow()
            if not ours.cast(theirs.schema).equals(theirs):
                return False
            done += len(theirs)
            if done == count:
                break
        return True

    def _names(self) -> list[str]:
        table = self._open(FACES)
        return [] if table is None else list(table.schema.names)

    def _open(self, name: str) -> Any:
        with self._failures():
            found = name in self._database.list_tables().tables
            return self._database.open_table(name) if found else None

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


def _condition(filters: Mapping[str, str]) -> str:
    """Return a condition in SQL; a quote within a value is doubled."""
    quoted = {name: value.replace("'", "''") for name, value in filters.items()}
    return " AND ".join(f"`{name}` = '{value}'" for name, value in quoted.items())


def _found(row: Mapping[str, Any]) -> FoundFace:
    return FoundFace(
        file=row["file"],
        face=row["face"],
        distance=max(0.0, row["_distance"]) ** 0.5,
        labels={name: row[name] for name in LABELS if row.get(name) is not None},
        box=tuple(row["box"]) if row.get("box") is not None else None,
    )
