"""The rows of a table of faces in Parquet, checked, and as LanceDB takes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.face_labels import LABELS
from demo.terminal import NotWritten
from registry.errors import first_line

NEEDED = ("file", "face", "expression")
PREPARED = ("path", "split")
"""Columns of the index of a prepared set, which is no table of faces."""


class BadTable(ValueError):
    """A Parquet file is no table of faces, or lacks what is asked; the message is one sentence."""


@contextmanager
def opened(parquet: Path) -> Iterator[Any]:
    """Open a table of faces.

    Raises:
        BadTable: It is no such table, or what is read of it while it is open isn't.
    """
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(parquet) as file:
            yield file
    except (BadTable, NotWritten):
        raise
    except FileNotFoundError as error:
        raise BadTable(
            f"There is no table {str(parquet)!r}: `python -m demo embed` writes one."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise BadTable(
            f"{parquet} is no table of faces ({first_line(error)}): name one that "
            "`python -m demo embed` wrote."
        ) from error


def version_of(parquet: Path) -> int | None:
    """Return which version of the dln a table's vectors are of; None where it doesn't tell.

    Raises:
        BadTable: It is no table of faces.
    """
    with opened(parquet) as file:
        columns(file)
        if "version" not in file.schema_arrow.names:
            return None
        first = next(file.iter_batches(1, columns=["version"]), None)
        return None if first is None or not len(first) else first["version"][0].as_py()


def require_version(parquet: Path, number: int) -> None:
    """Check that a table's vectors are of the version in production.

    Raises:
        BadTable: They are another's, or it is no table of faces.
    """
    found = version_of(parquet)
    if found not in (None, number):
        raise BadTable(
            f"{parquet} holds vectors of version {found} of the dln, and version {number} "
            "is in production: make it again with `python -m demo embed`."
        )


def columns(file: Any) -> list[str]:
    """Return the columns of an open table that are kept.

    Raises:
        BadTable: It has not those of a face.
    """
    names = file.schema_arrow.names
    missing = [name for name in NEEDED if name not in names]
    if missing and all(name in names for name in PREPARED):
        raise BadTable(
            "This is the index of a prepared set, which holds no vectors: search the set's folder, "
            "or a table that `python -m demo embed FOLDER -o FILE.parquet` wrote."
        )
    if missing:
        raise KeyError(f"it has no column {missing[0]!r}")
    return [*NEEDED, *(name for name in ("box", *LABELS) if name in names)]


def faces(batch: Any) -> Any:
    """Return rows as LanceDB takes them: vectors of one length, labels as text.

    Raises:
        ValueError: A row has no expression, or one of another length or not of numbers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.Table.from_batches([batch])
    if batch["expression"].null_count:
        raise ValueError("a face has no expression")
    numbers, dims = pa.float32(), len(batch["expression"][0])
    types = {"face": pa.int64(), "expression": pa.list_(numbers, dims), "box": pa.list_(numbers, 4)}
    names = table.column_names
    table = table.cast(pa.schema({name: types.get(name, pa.string()) for name in names}))
    flat = pc.list_flatten(table["expression"])
    if flat.null_count or not pc.all(pc.is_finite(flat)).as_py():
        raise ValueError("an expression holds what is no number")
    return table
