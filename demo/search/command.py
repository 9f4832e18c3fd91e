"""The terminal's `search`: index a folder, find faces in it, print them, write them as a sheet."""

import sys
from collections.abc import Sequence

from demo.argument_checks import BadArguments
from demo.face_labels import FaceLabels
from demo.local_answers import Answer, Answers, BadPhotos
from demo.photo_files import PhotoFile, PhotoFiles
from demo.search.index import FolderIndex, digest
from demo.search.matches import Match, NoIdentity, find_matches, none_found
from demo.search.sheet import cut_out, match_notes, search_sheet
from demo.search_arguments import Search
from demo.terminal import provenance, tracked, write_errors
from registry.console import print_json, printable, working
from registry.files import atomic_write
from registry.photos import PhotoError, read_photo

STOPPED = "Stopped; what was computed is kept: run the same command again to go on."
VECTORS = ("expression", "identity")
TITLE = "The faces in {folder} that are nearest in expression to {query}"


def search(command: Search, query: PhotoFiles, answers: Answers) -> None:
    """Print the faces of a folder nearest in expression to a face of a photo.

    Args:
        command: The folder, and how to search it.
        query: The photo, and how many photos were refused: those of the folder are counted there.
        answers: Computes the vectors.

    Raises:
        BadArguments: There is more than one photo to search for, or others can't come first.
        BadPhotos: The photo shows no face, or not that many.
        IndexFailed: The index can't be read or written.
        NotWritten: The sheet can't be written.
        RegistryError: No version can answer.
    """
    if len(query.usable) != 1:
        raise BadArguments("Only one photo can be searched for: name one, not a folder.")
    folder = PhotoFiles([command.folder])
    _check_labels(command, folder.usable)
    if folder.usable:
        (face,) = answers.embed(query.usable[0], command.face)
        with FolderIndex(command.folder, (face["version"], face["run_id"])) as index:
            _update(index, folder, answers)
            matches = _matches(command, index, query.usable[0], face)
            _show(command, index, folder, face, matches)
        if command.output is not None:
            _write_sheet(command, query.usable[0], face, matches)
    query.refused += folder.refused


def _check_labels(command: Search, photos: Sequence[PhotoFile]) -> None:
    """Raise BadArguments where no photo has a label that is asked for."""
    if not command.filters or not photos:
        return
    known = FaceLabels().values(photos)
    missing = [name for name in command.filters if name not in known]
    if missing:
        raise BadArguments(
            f"--{missing[0]} is for a prepared data set or a table of faces that knows it, which "
            f"{str(command.folder)!r} does not: search without it."
        )


def _update(index: FolderIndex, photos: PhotoFiles, answers: Answers) -> None:
    """Add the photos of the folder that are new, and remove those that are gone."""

    def embed(photo: PhotoFile) -> Sequence[Answer]:
        try:
            return answers.embed(photo, None)
        except BadPhotos as error:
            raise error.refused[0][1] from None

    left = index.left(photos.usable)
    try:
        for photo in tracked(left, "photos indexed", len(photos.usable)):
            try:
                index.include(photo, embed)
            except PhotoError as error:
                photos.refuse(photo, error)
        index.finish(working)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise


def _matches(command: Search, index: FolderIndex, query: PhotoFile, face: Answer) -> list[Match]:
    try:
        return find_matches(
            index,
            face,
            count=command.count,
            others_first=command.others_first,
            itself=(digest(query), face["face"]),
            filters=command.filters,
        )
    except NoIdentity as error:
        raise BadArguments(str(error)) from error


def _show(
    command: Search, index: FolderIndex, folder: PhotoFiles, face: Answer, matches: Sequence[Match]
) -> None:
    faces, photos = index.faces, len(folder.usable) - folder.refused
    if command.json:
        found = {"matches": [match.to_dict() for match in matches]}
        searched = {"file": str(command.query), "folder": str(command.folder)}
        shown = {key: face[key] for key in face if key not in VECTORS}
        print_json(searched | {"photos": photos, "faces": faces} | shown | found)
        return
    print(f"The nearest of {faces:,} faces in {photos:,} photos, by distance (0 to 2):")
    for match in matches:
        print(f"  {match.distance:.3f}  {printable(match.photo)}{match_notes(match)}")
    if not matches:
        print(printable(f"  {none_found(command.filters)}"))
    print(f"  {provenance(face)}")


def _write_sheet(command: Search, query: PhotoFile, face: Answer, matches: Sequence[Match]) -> None:
    assert command.output is not None
    cut = cut_out(read_photo(query.read()), tuple(face["box"]))
    title = TITLE.format(folder=command.folder, query=query)
    page = search_sheet(title, provenance(face), cut, matches)
    with write_errors(command.output), atomic_write(command.output) as part:
        part.write_text(page, encoding="utf-8")
    if not command.json:
        print(printable(f"  {command.output} shows them."))
