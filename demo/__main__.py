"""The page's answers in a terminal: python -m demo compare, emotion, embed, transfer and others."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from demo.argument_checks import BadArguments
from demo.arguments import (
    Command,
    Compare,
    Emotion,
    Transfer,
    TransferVideo,
    Video,
    parse,
)
from demo.embed_arguments import Embed
from demo.search_arguments import Search
from demo.terminal import NotWritten, provenance, tracked, write_errors
from registry import console
from registry.console import print_json, printable

if TYPE_CHECKING:
    from demo.local_answers import Answer, Answers
    from demo.photo_files import PhotoFile, PhotoFiles

logger = logging.getLogger(__name__)

DONE, FAILED, BAD_INPUT, NO_REGISTRY, INTERRUPTED = 0, 1, 2, 3, 130


@console.program
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 for a fault of ours, 2 bad input, 3 the registry, 130 Ctrl-C."""
    from registry import logs

    try:
        command = parse(arguments)
    except BadArguments as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    log = logs.log_to_file("demo")
    console.save_cpu()
    console.collect_rarely()
    _quiet_libraries()
    try:
        return run(command)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        from registry.errors import first_line

        logger.exception("python -m demo failed.")
        sentence = f"The command failed: {first_line(error)}. {logs.traceback_note(log)}"
        print(sentence.rstrip(), file=sys.stderr)
        return FAILED


def run(command: Command) -> int:
    """Answer a command; return the exit status as `main` does."""
    from demo.local_answers import BadPhotos
    from demo.page_answers import find_answers
    from demo.photo_files import PhotoFiles
    from registry.errors import RegistryError
    from registry.photos import PhotoError
    from registry.ray_cluster import ClusterError

    if isinstance(command, Search) and command.forget:
        return forget(command)
    photos = PhotoFiles(command.photos)
    on_ray = isinstance(command, Embed) and command.ray
    if not on_ray:  # Ray's workers check what they read, side by side
        photos.check()
    needs_all = isinstance(command, Compare | Transfer | Search | TransferVideo)
    if command.photos and (not photos.usable or (photos.refused and needs_all)):
        return BAD_INPUT
    try:
        _answer(command, photos, find_answers(command.local or on_ray))
    except BadPhotos as error:
        for photo, reason in error.refused:
            photos.refuse(photo, reason)
    except (BadArguments, ClusterError, NotWritten, PhotoError) as error:
        print(printable(error), file=sys.stderr)
        return BAD_INPUT
    except RegistryError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT if photos.refused else NO_REGISTRY
    return BAD_INPUT if photos.refused else DONE


def _answer(command: Command, photos: "PhotoFiles", answers: "Answers") -> None:
    match command:
        case Compare():
            compare(command, photos.usable, answers)
        case Emotion():
            emotion(command, photos, answers)
        case Embed():
            from demo.embed_command import embed

            embed(command, photos, answers)
        case Transfer():
            transfer(command, photos.usable, answers)
        case Search():
            _search(command, photos, answers)
        case Video():
            from demo.video.command import video

            video(command)
        case TransferVideo():
            from demo.video.transfer_command import transfer_video

            transfer_video(command)


def _search(command: Search, photos: "PhotoFiles", answers: "Answers") -> None:
    if command.is_table:
        from demo.search.table_command import search_table

        search_table(command, photos, answers)
    else:
        from demo.search.command import search

        search(command, photos, answers)


def compare(command: Compare, photos: "Sequence[PhotoFile]", answers: "Answers") -> None:
    """Print which two of three photos share an expression."""
    from demo.answers import PAIRS

    if len(photos) != len(PAIRS):
        raise BadArguments(f"These are {len(photos)} photos: name three.")
    answer = answers.compare(photos, command.face or 1)
    if command.json:
        print_json(answer)
        return
    print(answer["sentence"])
    for i, (one, other) in enumerate(PAIRS):
        identities = answer["identity_distances"]
        identity = f", identity {identities[i]:.3f}" if identities else ""
        print(f"  {one} and {other}: expression {answer['distances'][i]:.3f}{identity}")
    print(f"  {provenance(answer)}")


def emotion(command: Emotion, photos: "PhotoFiles", answers: "Answers") -> None:
    """Print the emotion of each face of each photo, as JSON also of those before a stop."""
    from demo.local_answers import BadPhotos

    rows: list[Answer] = []
    try:
        for photo in tracked(photos.usable, "photos answered"):
            try:
                faces = answers.emotion(photo, command.face)
            except BadPhotos as error:
                photos.refuse(*error.refused[0])
                continue
            rows += [{"file": str(photo)} | face for face in faces]
            if not command.json:
                _print_emotions(str(photo), faces)
    finally:
        if command.json and rows:
            print_json(rows)


def _print_emotions(file: str, faces: "Sequence[Answer]") -> None:
    for face in faces:
        shares = [f"{label} {share:.1%}" for label, share in face["probabilities"].items()]
        print(f"{printable(file)}, face {face['face']}: {face['sentence']}")
        print(f"  {', '.join(shares)}\n  {provenance(face)}", flush=True)


def transfer(command: Transfer, photos: "Sequence[PhotoFile]", answers: "Answers") -> None:
    """Write one person's photo with another's expression, and print its metrics."""
    from demo.transfer import CONSENT
    from demo.transfer_limits import LIMITS
    from registry.files import atomic_write

    print(CONSENT, LIMITS, sep="\n", file=sys.stderr)
    if len(photos) != len(command.photos):
        raise BadArguments("A folder or zip of several photos can't be changed: name one photo.")
    driver = photos[1] if len(photos) > 1 else None
    faces = (command.source_face, command.driver_face)
    answer, picture = answers.transfer(photos[0], driver, faces, command.strength)
    with write_errors(command.output), atomic_write(command.output) as part:
        part.write_bytes(picture)
    if command.json:
        print_json(answer | {"file": str(command.output)})
    else:
        _print_transfer(answer, command.output)


def _print_transfer(answer: "Answer", output: Path) -> None:
    to_driver = answer["driver_likeness"]
    other = "" if to_driver is None else f", to the other {to_driver:.2f}"
    print(answer["sentence"], *answer["warnings"], sep="\n  ")
    before, after = answer["before"], answer["after"]
    print(f"  distance to the expression: {before:.2f} before, {after:.2f} after")
    if "blendshapes_after" in answer:
        before, after = answer["blendshapes_before"], answer["blendshapes_after"]
        print(f"  distance by brows, eyes and mouth: {before:.2f} before, {after:.2f} after")
    print(f"  likeness to the person {answer['likeness']:.2f}{other}")
    if (nearer := answer["nearer_strength"]) is not None:
        print(f"  strength {nearer:g} comes nearer: --strength {nearer:g}")
    print(f"  {printable(output)}\n  {provenance(answer)}")


def forget(command: Search) -> int:
    """Delete what is kept of a folder's faces; return the exit status."""
    from demo.search import index

    try:
        if command.index is not None:
            from demo.search.face_collection import FaceCollection

            FaceCollection(command.index).drop()
        print(printable(index.forget(command.folder)))
    except NotWritten as error:
        print(printable(error), file=sys.stderr)
        return BAD_INPUT
    return DONE


def _quiet_libraries() -> None:
    """Keep log messages that libraries print for developers out of the terminal."""
    for library in ("absl", "alembic", "mlflow", "torch"):
        logging.getLogger(library).setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
