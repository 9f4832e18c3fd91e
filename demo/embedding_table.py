"""The table that `embed` writes: unfinished rows in a text file, then Parquet or LanceDB."""

import codecs
import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from demo.face_labels import FaceLabels
from demo.photo_files import PhotoFile
from demo.terminal import NotWritten, write_errors
from registry.catalog import DLN
from registry.errors import RegistryError, first_line
from registry.files import atomic_write

UNFINISHED = ".unfinished"
"""Added to the table's name for the file that holds the rows until the table is whole."""
ROWS_AT_ONCE = 1000
LANCE = ".lance"
VECTORS = ("expression", "identity")
Row = dict[str, Any]
"""A face of the table, by the names of its columns."""


class VersionChanged(RegistryError):
    """Another version was promoted while a table was made."""


class EmbeddingTable:
    """A table of faces that is written photo by photo, and can be resumed.

    The unfinished file holds JSON, a line for each photo. Lines of a photo that was changed since,
    of another face, or of a version that isn't in production any more, are left out.

    Args:
        output: The Parquet file, or LanceDB's table where its name ends with .lance; what is there
            stays until the table is whole.
        face: The number of the face that is taken of each photo; None takes all.

    All methods raise OSError where a file can't be read or written, and all but the properties are
    called within `opened`.
    """

    def __init__(self, output: Path, face: int | None) -> None:
        self.output = output
        self.unfinished = output.with_name(output.name + UNFINISHED)
        self.version: tuple[int, str] | None = None
        """Number and run of the version whose vectors the table holds."""
        self._face = face
        self._labels = FaceLabels()
        self._starts: dict[tuple[str, int], int] = {}
        self._lock = FileLock(f"{self.unfinished}.lock", timeout=0)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Find what an earlier, stopped command wrote, and keep other processes from writing.

        Raises:
            NotWritten: Another process writes the table, or the folder can't be written.
        """
        with write_errors(self.output):
            try:
                self._lock.acquire()
            except Timeout:
                raise NotWritten(
                    f"Another process writes {self.output} now; run the same command again when "
                    "it has ended."
                ) from None
        try:
            with write_errors(self.output):
                self._resume()
            yield
        finally:
            with suppress(OSError):  # Windows keeps an open file
                Path(self._lock.lock_file).unlink()
            self._lock.release()

    @property
    def is_empty(self) -> bool:
        """Whether the table holds no face yet."""
        return not self._starts

    def holds(self, photo: PhotoFile) -> bool:
        """Return whether the faces of a photo are in the table already."""
        return _key(photo) in self._starts

    def add(self, photo: PhotoFile, faces: Sequence[dict[str, Any]]) -> None:
        """Write the faces of a photo.

        Raises:
            VersionChanged: They are of another version than the faces before.
        """
        assert self._lock.is_locked, "the table is not opened"
        version = (faces[0]["version"], faces[0]["run_id"])
        if self.version not in (None, version):
            raise VersionChanged(
                f"{faces[0]['model']} was promoted meanwhile; run the same command once more for a "
                f"table of version {version[0]} alone."
            )
        self.version = version
        name, modified = _key(photo)
        line = {"photo": name, "modified": modified, "face": self._face, "faces": list(faces)}
        with self.unfinished.open("ab") as file:
            self._starts[name, modified] = file.tell()
            file.write(json.dumps(line).encode() + b"\n")

    def finish(self, photos: Sequence[PhotoFile]) -> int:
        """Write the finished table, remove the unfinished one, and return the number of rows.

        Args:
            photos: The photos whose faces it holds, in this order.
        """
        assert self._lock.is_locked, "the table is not opened"
        write = write_lance if self.output.suffix == LANCE else write_parquet
        written = write(self.output, self._rows(photos), tuple(self._labels.values(photos)))
        self.unfinished.unlink()
        return written

    def _rows(self, photos: Sequence[PhotoFile]) -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        with self.unfinished.open("rb") as file:
            for photo in filter(self.holds, photos):
                file.seek(self._starts[_key(photo)])
                name = table_name(str(photo))
                known = {"file": name, **self._labels.of(photo)}
                rows += [known | face for face in json.loads(file.readline())["faces"]]
                if len(rows) >= ROWS_AT_ONCE:
                    yield rows
                    rows = []
        if rows:
            yield rows

    def _resume(self) -> None:
        """Find the lines of an earlier, stopped run; cut off what was not written whole."""
        if not self.unfinished.exists():
            return
        from registry import versions

        version = versions.resolve(DLN.name)
        wanted = (self._face, version.number, version.run_id)
        with self.unfinished.open("r+b") as file:
            start = 0
            for line in file:
                parsed = _parsed(line)
                if parsed is None:
                    break
                key, made_with = parsed
                if made_with == wanted:
                    self._starts[key] = start
                start += len(line)
            file.truncate(start)
        if not self.is_empty:
            self.version = (version.number, version.run_id)


def write_parquet(output: Path, rows: Iterable[Sequence[Row]], labels: Sequence[str] = ()) -> int:
    """Write rows into a Parquet file and return their number.

    Args:
        output: The file.
        rows: The rows, some at a time.
        labels: Names of columns of text, besides those that every table has.

    Raises:
        OSError: It can't be written; what was there stays.
    """
    import pyarrow as pa
    from pyarrow import parquet

    numbers = pa.list_(pa.float32())
    schema = _schema(numbers, numbers, labels)
    written = 0
    with atomic_write(output) as part, parquet.ParquetWriter(part, schema) as writer:
        for some in rows:
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
            written += len(some)
    return written


def write_lance(output: Path, rows: Iterable[Sequence[Row]], labels: Sequence[str] = ()) -> int:
    """Write rows into a table of LanceDB, whose vectors can be indexed, and return their number.

    Args:
        output: The table's folder, DATABASE/TABLE.lance.
        rows: The rows, some at a time.
        labels: Names of columns of text, besides those that every table has.

    Raises:
        OSError: It can't be written; what was there stays.
    """
    import pyarrow as pa

    from demo.search.lance import connect

    batches = iter(rows)
    first = next(batches, [])
    vectors = {name: (first[0][name] if first else None) or () for name in VECTORS}
    expression, identity = (pa.list_(pa.float32(), len(each)) for each in vectors.values())
    schema = _schema(expression, identity, labels)
    parts = (
        batch
        for some in chain([first], batches)
        for batch in pa.Table.from_pylist(some, schema=schema).to_batches()
    )
    try:
        table = connect(output.parent).create_table(
            output.stem, data=parts, schema=schema, mode="overwrite"
        )
    except (RuntimeError, ValueError) as error:  # LanceDB's own, for what the system said
        raise OSError(errno.EIO, first_line(error), str(output)) from error
    return int(table.count_rows())


def _schema(expression: Any, identity: Any, labels: Sequence[str]) -> Any:
    """Return the columns of a finished table, with the types of its two vectors."""
    import pyarrow as pa

    face = {"file": pa.string(), "face": pa.int64(), "box": pa.list_(pa.float32())}
    vectors = {"expression": expression, "identity": identity}
    made_with = {"model": pa.string(), "version": pa.int64()}
    return pa.schema(face | vectors | made_with | dict.fromkeys(labels, pa.string()))


def _parsed(line: bytes) -> tuple[tuple[str, int], tuple[int | None, int, str]] | None:
    """Return a line's photo, and the face and version it was made with; None if it isn't whole."""
    try:
        values = json.loads(line)
        first = values["faces"][0]
        made_with = (values["face"], first["version"], first["run_id"])
        return (values["photo"], values["modified"]), made_with
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def table_name(name: str) -> str:
    r"""Return a file's name as a Parquet table can hold it: UTF-8.

    A name whose bytes aren't UTF-8, and one that holds a backslash, is written as ASCII with `\xNN`
    for each other byte and `\\` for a backslash. So `codecs.decode(name, "unicode_escape")` of a
    name that holds a backslash, encoded as Latin-1, gives its bytes. On Windows a backslash stays.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        is_text = False
    else:
        is_text = os.sep == "\\" or "\\" not in name
    if is_text:
        return name
    return os.fsencode(name).decode("latin-1").encode("unicode_escape").decode("ascii")


def file_name(cell: str) -> str:
    """Return the name of the file that `table_name` wrote so."""
    if os.sep == "\\" or "\\" not in cell:
        return cell
    return os.fsdecode(codecs.decode(cell, "unicode_escape").encode("latin-1"))


def _key(photo: PhotoFile) -> tuple[str, int]:
    return str(photo), photo.modified_ns
