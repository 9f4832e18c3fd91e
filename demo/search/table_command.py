"""The terminal's `search` of a table that `embed` wrote, and of an index in an object store."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from demo.argument_checks import BadArguments
from demo.arguments import Search
from demo.local_answers import Answer, Answers
from demo.photo_files import PhotoFiles
from demo.search.face_collection import ROWS_AT_ONCE, BadTable, FaceCollection, FoundFace
from demo.search.index import BUSY, make_folder, place
from demo.search.tables import IndexFailed
from demo.terminal import provenance
from registry.console import print_json, printable, track

VECTORS = ("expression", "identity")


def search_table(command: Search, query: PhotoFiles, answers: Answers) -> None:
    """Print the faces of a table nearest in expression to a face of a photo.

    Args:
        command: The table, and how to search it.
        query: The photo.
        answers: Computes its vectors.

    Raises:
        BadArguments: The table can't be used, is another version's, or lacks a column.
        BadPhotos: The photo shows no face, or not that many.
        IndexFailed: The index can't be read or written.
        RegistryError: No version can answer.
    """
    if len(query.usable) != 1:
        raise BadArguments("Only one photo can be searched for: name one, not a folder.")
    if not command.folder.is_file():
        raise BadArguments(
            f"There is no table {str(command.folder)!r}: `python -m demo embed` writes one."
        )
    (face,) = answers.embed(query.usable[0], command.face)
    _require_version(command.folder, face)
    folder = place(command.folder)
    make_folder(folder)
    collection = FaceCollection(command.index or folder / "faces.lance")
    try:
        with FileLock(folder / "index.lock", timeout=0):
            collection.add(command.folder, _tracked)
        found = collection.nearest(np.array(face["expression"]), command.count, command.filters)
    except Timeout:
        raise IndexFailed(BUSY.format(folder=command.folder)) from None
    except BadTable as error:
        raise BadArguments(str(error)) from error
    _show(command, collection.count(), face, found)


def _tracked(chunks: range) -> Iterator[int]:
    """Show how many chunks of ROWS_AT_ONCE faces are in the index, where there are several."""
    done = f"times {ROWS_AT_ONCE:,} faces indexed"
    yield from track(chunks, done, total=len(chunks), disable=len(chunks) < 2)


def _require_version(table: Path, face: Answer) -> None:
    """Raise BadArguments where the table says that its vectors are another version's."""
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(table) as file:
            if "version" not in file.schema_arrow.names:
                return
            first = next(file.iter_batches(1, columns=["version"]), None)
    except (OSError, ValueError) as error:
        raise BadArguments(f"{str(table)!r} is no Parquet table.") from error
    number = None if first is None else first["version"][0].as_py()
    if number not in (None, face["version"]):
        raise BadArguments(
            f"{table} holds vectors of version {number} of the dln, and version {face['version']} "
            "is in production: make it again with `python -m demo embed`."
        )


def _show(command: Search, faces: int, face: Answer, found: list[FoundFace]) -> None:
    if command.json:
        searched = {"file": str(command.query), "table": str(command.folder), "faces": faces}
        shown = {key: face[key] for key in face if key not in VECTORS}
        print_json(searched | shown | {"matches": [_as_dict(each) for each in found]})
        return
    print(f"The nearest of {faces:,} faces, by distance (0 to 2):")
    for each in found:
        notes = "".join(f", {name} {value}" for name, value in each.filters.items())
        print(f"  {each.distance:.3f}  {printable(each.file)}, face {each.face}{printable(notes)}")
    print(f"  {provenance(face)}")


def _as_dict(found: FoundFace) -> Mapping[str, object]:
    return {"file": found.file, "face": found.face, "distance": found.distance, **found.filters}
