"""The index of a table that `embed` wrote: where it is kept, brought up to date by one process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from demo.search.face_collection import FaceCollection
from demo.search.index import BUSY, make_folder, place
from demo.search.tables import IndexFailed
from demo.search.vectors import Building, quietly


def updated(
    table: Path,
    address: str | None = None,
    tracked: Callable[[range], Any] = iter,
    building: Building = quietly,
) -> FaceCollection:
    """Return the faces of a table, those added that were missing.

    Args:
        table: The Parquet file.
        address: Where the index is kept; None: in the store's folder.
        tracked: As for `FaceCollection.add`.
        building: As for `refresh_index`.

    Raises:
        BadTable: It is no table of faces.
        IndexFailed: The index can't be read or written, or another process writes it.
    """
    folder = place(table)
    make_folder(folder)
    try:
        with FileLock(folder / "index.lock", timeout=0, thread_local=False):
            collection = FaceCollection(address or folder / "faces.lance")
            collection.add(table, tracked, building)
            return collection
    except Timeout:
        raise IndexFailed(BUSY.format(folder=table)) from None
