"""The terminal's `search` of a table that `embed` wrote, and of an index in an object store."""

import sys
from collections.abc import Iterator, Mapping

import numpy as np

from demo.argument_checks import BadArguments
from demo.local_answers import Answer, Answers
from demo.photo_files import PhotoFiles
from demo.search.face_collection import ROWS_AT_ONCE, FoundFace
from demo.search.face_rows import BadTable, require_version, version_of
from demo.search.matches import none_found
from demo.search.table_index import updated
from demo.search_arguments import Search
from demo.terminal import provenance
from registry.console import print_json, printable, track, working

VECTORS = ("expression", "identity")
STOPPED = (
    "Stopped; the faces added so far are kept, and an unfinished index is built again: run the "
    "same command again to go on."
)


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
    try:
        version_of(command.folder)
        (face,) = answers.embed(query.usable[0], command.face)
        require_version(command.folder, face["version"])
        collection = updated(command.folder, command.index, _tracked, working)
        found = collection.nearest(np.array(face["expression"]), command.count, command.filters)
    except BadTable as error:
        raise BadArguments(str(error)) from error
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise
    _show(command, collection.count(), face, found)


def _tracked(chunks: range) -> Iterator[int]:
    """Show how many chunks of ROWS_AT_ONCE faces are added, where there are several."""
    done = f"times {ROWS_AT_ONCE:,} faces added"
    yield from track(chunks, done, total=len(chunks), disable=len(chunks) < 2)


def _show(command: Search, faces: int, face: Answer, found: list[FoundFace]) -> None:
    if command.json:
        searched = {"file": str(command.query), "table": str(command.folder), "faces": faces}
        shown = {key: face[key] for key in face if key not in VECTORS}
        print_json(searched | shown | {"matches": [_as_dict(each) for each in found]})
        return
    print(f"The nearest of {faces:,} faces, by distance (0 to 2):")
    for each in found:
        notes = "".join(f", {name} {value}" for name, value in each.labels.items())
        print(f"  {each.distance:.3f}  {printable(each.file)}, face {each.face}{printable(notes)}")
    if not found:
        print(printable(f"  {none_found(command.filters)}"))
    print(f"  {provenance(face)}")


def _as_dict(found: FoundFace) -> Mapping[str, object]:
    return {"file": found.file, "face": found.face, "distance": found.distance, **found.labels}
