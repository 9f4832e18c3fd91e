"""The tables of an index, in LanceDB: which content each file has, and the faces of each content.

LanceDB runs in this process, on files; nothing of it listens or reports anywhere.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from demo.search.lance import connect
from demo.search.vectors import Building, Vector, quietly, refresh_index, search_near
from demo.terminal import NotWritten
from registry.errors import first_line

FILES = "files"
AT_ONCE = 500
"""How many digests one condition names."""
MOST_TABLES = 1000
NO_OLD_VERSIONS = timedelta(milliseconds=1)
"""LanceDB keeps what was deleted in older versions of a table; those this old go at once."""


class IndexFailed(NotWritten):
    """The index can't be read or written; the message is one sentence that says what to do."""


read_again = retry(
    retry=retry_if_exception_type(IndexFailed),
    stop=stop_after_attempt(10),
    wait=wait_random(0.0, 0.1),
    reraise=True,
)
"""Calls a function that reads again where it fails, ten times within about half a second.

LanceDB finds no table while another process or thread deletes its older versions, about once in a
hundred reads, and finds it at the next one.
"""


class FileRow(NamedTuple):
    """A photo's file: its size, when it was changed, its content's SHA-256, if it shows a face."""

    name: str
    size: int
    modified_ns: int
    digest: str
    has_face: bool


class FaceRow(NamedTuple):
    """A face of a photo: the SHA-256 of the photo, its number, its box, its distances to another.

    Distances are Euclidean between unit vectors, 0 to 2.
    """

    digest: str
    face: int
    box: tuple[float, float, float, float]
    distance: float
    identity_distance: float | None


class Tables:
    """The tables in a folder; all methods raise IndexFailed where it can't be read or written.

    Args:
        folder: Holds the tables; it exists.
        faces: The name of the table of faces.
    """

    def __init__(self, folder: Path, faces: str) -> None:
        self._folder, self._faces = folder, faces
        with self._failures():
            self._database = connect(folder)

    @read_again
    def files(self) -> dict[str, FileRow]:
        """Return what is known of each file, by its name; of several rows the last counts."""
        table = self._open(FILES)
        with self._failures():
            rows = [] if table is None else table.to_arrow().to_pylist()
        return {row["name"]: FileRow(**row) for row in rows}

    def add_files(self, rows: Sequence[FileRow]) -> None:
        """Append rows."""
        with self._failures():
            table = self._database.create_table(FILES, schema=_file_schema(), exist_ok=True)
            table.add(_file_table(rows))

    def replace_files(self, rows: Iterable[FileRow]) -> None:
        """Write these rows alone."""
        with self._failures():
            self._database.create_table(FILES, _file_table(rows), mode="overwrite")

    @read_again
    def digests(self) -> set[str]:
        """Return the digests of the contents that have rows in the table of faces."""
        table = self._open(self._faces)
        if table is None:
            return set()
        with self._failures():
            found = table.search().select(["digest"]).limit(table.count_rows()).to_arrow()
        return set(found["digest"].to_pylist())

    @read_again
    def count_faces(self) -> int:
        """Return the number of faces."""
        table = self._open(self._faces)
        with self._failures():
            return 0 if table is None else int(table.count_rows())

    def add_faces(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows with `digest`, `face`, `box`, `expression` and, perhaps, `identity`.

        Those of digest and face that are there already are left out.
        """
        import pyarrow as pa

        if not rows:
            return
        schema = _face_schema(rows[0])
        with self._failures():
            table = self._database.create_table(self._faces, schema=schema, exist_ok=True)
            new = table.merge_insert(["digest", "face"]).when_not_matched_insert_all()
            new.execute(pa.Table.from_pylist(rows, schema))

    def remove_faces(self, digests: Collection[str]) -> None:
        """Delete the faces of these contents."""
        table = self._open(self._faces)
        if table is None:
            return
        with self._failures():
            some = sorted(digests)
            for start in range(0, len(some), AT_ONCE):
                table.delete(_one_of(some[start : start + AT_ONCE]))

    def compact(self, building: Building = quietly) -> None:
        """Put each table into few files, delete what was deleted for good, and other tables.

        Args:
            building: As for `refresh_index`.
        """
        with self._failures():
            for name in self._names():
                if name in (FILES, self._faces):
                    table = self._database.open_table(name)
                    table.optimize(cleanup_older_than=NO_OLD_VERSIONS, delete_unverified=True)
                    if name == self._faces:
                        refresh_index(table, "expression", building=building)
                else:
                    self._database.drop_table(name)

    @read_again
    def nearest(
        self,
        expression: Vector,
        identity: Vector | None,
        count: int,
        apart: float | None,
        among: Collection[str] | None = None,
    ) -> list[FaceRow]:
        """Return the faces nearest in expression, nearest first; see `vectors`.

        Args:
            expression: A face's expression.
            identity: Its identity, if the version gives one.
            count: How many to return.
            apart: Faces whose identity is at most so far away come after all others; None: as any.
            among: The digests of the contents whose faces may be returned; None: of all.
        """
        table = self._open(self._faces)
        if table is None or (among is not None and not among):
            return []
        condition = "" if among is None else _one_of(among)
        with self._failures():
            near = 0 if apart is None else _count_within(table, identity, apart)
            columns = [field.name for field in table.schema]
            found = search_near(table, "expression", expression, condition)
            rows = found.select([*columns, "_distance"]).limit(count + near).to_list()
        faces = [_face_row(row, expression, identity) for row in rows]
        faces.sort(key=lambda row: (_is_within(row, apart), row.distance))
        return faces[:count]

    def _open(self, name: str) -> Any:
        """Return a table, or None where there is none yet."""
        with self._failures():
            return self._database.open_table(name) if name in self._names() else None

    def _names(self) -> list[str]:
        return list(self._database.list_tables(limit=MOST_TABLES).tables)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn LanceDB's failures into one sentence."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            raise IndexFailed(
                f"The index in {self._folder} can't be used ({first_line(error)}); free some room "
                "on the disk, or delete it with `python -m demo search --forget FOLDER`, and "
                "search again."
            ) from error


def _one_of(digests: Iterable[str]) -> str:
    """Return a condition in SQL: the content is one of these."""
    quoted = ", ".join(f"'{digest}'" for digest in digests)
    return f"digest IN ({quoted})"


def _count_within(table: Any, identity: Vector | None, apart: float) -> int:
    """Return how many faces have an identity at most so far away; LanceDB squares distances."""
    rows = table.count_rows()
    if identity is None or not rows:  # LanceDB refuses a limit of 0
        return 0
    found = search_near(table, "identity", identity).distance_range(None, apart**2)
    return int(found.select(["_distance"]).limit(rows).to_arrow().num_rows)


def _is_within(row: FaceRow, apart: float | None) -> bool:
    if apart is None or row.identity_distance is None:
        return False
    return row.identity_distance <= apart


def _face_row(row: Mapping[str, Any], expression: Vector, identity: Vector | None) -> FaceRow:
    """Return a row with its distances as the triplet's are computed."""
    apart = None
    if identity is not None and row.get("identity") is not None:
        apart = float(np.linalg.norm(identity - np.array(row["identity"])))
    distance = float(np.linalg.norm(expression - np.array(row["expression"])))
    left, top, right, bottom = row["box"]
    return FaceRow(row["digest"], row["face"], (left, top, right, bottom), distance, apart)


def _file_schema() -> Any:
    import pyarrow as pa

    whole = pa.int64()
    columns = {"name": pa.string(), "size": whole, "modified_ns": whole}
    return pa.schema(columns | {"digest": pa.string(), "has_face": pa.bool_()})


def _file_table(rows: Iterable[FileRow]) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist([row._asdict() for row in rows], _file_schema())


def _face_schema(row: Mapping[str, Any]) -> Any:
    """Return the columns of faces; vectors as long as those of this row."""
    import pyarrow as pa

    vectors = {key: row[key] for key in ("expression", "identity") if row.get(key) is not None}
    return pa.schema(
        {"digest": pa.string(), "face": pa.int64(), "box": pa.list_(pa.float32(), 4)}
        | {key: pa.list_(pa.float32(), len(vector)) for key, vector in vectors.items()}
    )
