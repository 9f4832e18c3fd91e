"""`python -m demo embed`: the vectors of every face of every photo, as a table."""

import sys
from collections.abc import Generator, Sequence
from contextlib import closing

from demo.embed_arguments import Embed
from demo.embedding_table import EmbeddingTable
from demo.local_answers import Answer, Answers, BadPhotos
from demo.photo_files import PhotoFile, PhotoFiles
from demo.terminal import write_errors
from registry import console
from registry.console import print_json, printable
from registry.photos import PhotoError

Embedded = tuple[PhotoFile, list[Answer] | PhotoError]
"""A photo and its faces' vectors, or why it can't be used."""


def embed(command: Embed, photos: PhotoFiles, answers: Answers) -> None:
    """Write the vectors of each face of each photo into a table, photo by photo."""
    table = EmbeddingTable(command.table, command.face)
    with table.opened():
        _embed(command, photos, table, answers)


def _embed(command: Embed, photos: PhotoFiles, table: EmbeddingTable, answers: Answers) -> None:
    left = [photo for photo in photos.usable if not table.holds(photo)]
    try:
        _add(command, photos, table, left, answers)
    except KeyboardInterrupt:
        if not table.is_empty:
            kept = f"Stopped; what was done is kept in {table.unfinished}: run the same command"
            print(printable(f"{kept} again to go on."), file=sys.stderr)
        raise
    held = [photo for photo in photos.usable if table.holds(photo)]
    if not held:  # the table of an earlier command, and its unfinished one, stay as they are
        return
    with write_errors(command.table):
        faces_written = table.finish(held)
    if command.json:
        print_json({"file": str(command.table), "faces": faces_written, "photos": len(held)})
    else:
        sentence = f"{command.table} holds {faces_written} faces of {len(held)} photos."
        print(printable(sentence))


def _add(
    command: Embed,
    photos: PhotoFiles,
    table: EmbeddingTable,
    left: Sequence[PhotoFile],
    answers: Answers,
) -> None:
    """Add the faces of the photos that are left to a table."""
    if command.ray:
        from demo.ray_embedding import embedded_on_ray

        embedded = embedded_on_ray(left, command.face, command.workers)
    else:
        embedded = _embedded_here(left, command.face, answers)
    total = len(photos.usable)
    done = total - len(left)
    with closing(embedded):
        for photo, faces in console.track(
            embedded, "photos embedded", total=total, completed=done, disable=total == 1
        ):
            if isinstance(faces, PhotoError):
                photos.refuse(photo, faces)
                continue
            with write_errors(command.table):
                table.add(photo, faces)


def _embedded_here(
    photos: Sequence[PhotoFile], face: int | None, answers: Answers
) -> Generator[Embedded, None, None]:
    for photo in photos:
        try:
            yield photo, answers.embed(photo, face)
        except BadPhotos as error:
            yield error.refused[0]
