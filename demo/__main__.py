"""The page's answers in a terminal: python -m demo compare | emotion | embed | transfer."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.arguments import BadArguments, Command, Compare, Embed, Emotion, Transfer, parse

if TYPE_CHECKING:
    from demo.models import ModelServer
    from demo.predictors import Photo

logger = logging.getLogger(__name__)

DONE, FAILED, BAD_INPUT, NO_REGISTRY, INTERRUPTED = 0, 1, 2, 3, 130


class NotWritten(OSError):
    """A file could not be written; the message is one sentence."""


class PhotoFiles:
    """The photos of one command; prints why a photo can't be used.

    Args:
        photo_faces: Each file with the indices of the faces it must have.
    """

    def __init__(self, photo_faces: Sequence[tuple[Path, Sequence[int]]]) -> None:
        self._photo_faces = list(photo_faces)
        self.refused = 0

    def check(self) -> bool:
        """Check the headers of all files; return whether one of them can be used."""
        from registry.photos import PhotoError, check_photo

        for file, faces in tuple(self._photo_faces):
            try:
                check_photo(file)
            except PhotoError as error:
                self._refuse(file, error)
                self._photo_faces.remove((file, faces))
        return bool(self._photo_faces)

    def read(self) -> Iterator[tuple[Path, "Photo"]]:
        """Yield, one after the other, the photos that have the faces they must have."""
        from demo.predictors import read_photo_with_faces
        from registry.faces import FaceCropper
        from registry.photos import PhotoError

        cropper = FaceCropper()
        for file, faces in self._photo_faces:
            try:
                with _native_silence():
                    photo = read_photo_with_faces(file, cropper)
                for index in faces:
                    photo.face(index)
            except PhotoError as error:
                self._refuse(file, error)
            else:
                yield file, photo

    def _refuse(self, file: Path, error: Exception) -> None:
        self.refused += 1
        message = str(error)
        print(message if file.name in message else f"{file}: {message}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 for a fault of ours, 2 bad input, 3 the registry, 130 Ctrl-C."""
    from registry import logs

    try:
        command = parse(arguments)
    except BadArguments as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    log = logs.log_to_file("demo")
    _quiet_libraries()
    try:
        return run(command)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        from registry.errors import first_line

        logger.exception("python -m demo failed.")
        sentence = f"The command failed: {first_line(error)}. {logs.traceback_note(log)}"
        print(sentence.rstrip(), file=sys.stderr)
        return FAILED


def run(command: Command) -> int:
    """Answer a command; return the exit status as `main` does."""
    photos = PhotoFiles(command.photo_faces())
    needs_all = isinstance(command, Compare | Transfer)
    if not photos.check() or (photos.refused and needs_all):
        return BAD_INPUT
    from demo.models import ModelServer
    from registry.errors import RegistryError
    from registry.photos import PhotoError

    try:
        _answer(command, photos, ModelServer(poll_seconds=None))
    except (PhotoError, NotWritten) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except RegistryError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT if photos.refused else NO_REGISTRY
    return BAD_INPUT if photos.refused else DONE


def _answer(command: Command, photos: PhotoFiles, server: "ModelServer") -> None:
    match command:
        case Compare():
            compare(command, photos, server)
        case Emotion():
            emotion(command, photos, server)
        case Embed():
            embed(command, photos, server)
        case Transfer():
            transfer(command, photos, server)


def compare(command: Compare, files: PhotoFiles, server: "ModelServer") -> None:
    """Print which two of three photos share an expression."""
    from demo.answers import PAIRS
    from demo.predictors import TripletComparer

    photos = [photo for _, photo in files.read()]
    if files.refused:
        return
    index = (command.face or 1) - 1
    answer = TripletComparer(server).compare(photos, (index, index, index))
    if command.json:
        _print_json(answer.to_dict())
        return
    print(answer.sentence)
    for i, (one, other) in enumerate(PAIRS):
        identity = answer.identity_distances and f", identity {answer.identity_distances[i]:.3f}"
        print(f"  {one} and {other}: expression {answer.distances[i]:.3f}{identity or ''}")
    print(f"  {answer.provenance}")


def emotion(command: Emotion, files: PhotoFiles, server: "ModelServer") -> None:
    """Print the emotion of each face of each photo."""
    from demo.predictors import EmotionRecognizer

    recognizer = EmotionRecognizer(server)
    rows = []
    for file, photo in files.read():
        for answer in recognizer.recognise(photo, _face_indices(command.face)):
            rows.append({"file": str(file)} | answer.to_dict())
            if not command.json:
                shares = [f"{label} {share:.1%}" for label, share in answer.probabilities.items()]
                print(f"{file}, face {answer.face_index + 1}: {answer.sentence}")
                print(f"  {', '.join(shares)}\n  {answer.provenance}")
    if command.json and rows:
        _print_json(rows)


def embed(command: Embed, files: PhotoFiles, server: "ModelServer") -> None:
    """Write the vectors of each face of each photo into a table."""
    from demo.predictors import TripletComparer

    comparer = TripletComparer(server)
    rows: list[dict[str, Any]] = []
    for file, photo in files.read():
        embeddings = comparer.embed(photo, _face_indices(command.face))
        rows += [{"file": str(file)} | embedding.to_dict() for embedding in embeddings]
    if rows:
        _write_table(rows, command.output)
        photos = len({row["file"] for row in rows})
        print(f"{command.output} holds {len(rows)} faces of {photos} photos.")


def transfer(command: Transfer, files: PhotoFiles, server: "ModelServer") -> None:
    """Write one person's photo with another's expression, and print its metrics."""
    from demo.transfer import CONSENT, ExpressionTransfer
    from demo.transfer_limits import LIMITS

    print(CONSENT, LIMITS, sep="\n", file=sys.stderr)
    photos = [photo for _, photo in files.read()]
    if files.refused:
        return
    source, driver = photos[0], photos[1] if len(photos) > 1 else None
    faces = (command.source_face - 1, command.driver_face - 1)
    answer = ExpressionTransfer(server).transfer(source, driver, faces, command.strength)
    with _write_errors(command.output):
        answer.save(command.output)
    if command.json:
        _print_json(answer.to_dict() | {"file": str(command.output)})
        return
    metrics = answer.metrics
    to_driver = (
        "" if metrics.driver_likeness is None else f", to the other {metrics.driver_likeness:.2f}"
    )
    print(answer.sentence, *answer.warnings, sep="\n  ")
    print(f"  distance to the expression: {metrics.before:.2f} before, {metrics.after:.2f} after")
    print(f"  likeness to the person {metrics.likeness:.2f}{to_driver}")
    print(f"  {command.output}\n  {answer.provenance}")


def _face_indices(face: int | None) -> list[int] | None:
    return None if face is None else [face - 1]


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write file, face, box, vectors, model and version of each row as a Parquet table."""
    import pyarrow as pa
    from pyarrow import parquet

    from registry.files import atomic_write

    numbers = pa.list_(pa.float32())
    face = {"file": pa.string(), "face": pa.int64(), "box": numbers}
    vectors = {"expression": numbers, "identity": numbers}
    schema = pa.schema(face | vectors | {"model": pa.string(), "version": pa.int64()})
    with _write_errors(path), atomic_write(path) as part:
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), part)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turn a failure to write `path` into one sentence."""
    try:
        yield
    except OSError as error:
        raise NotWritten(
            f"{path} can't be written ({error.strerror}); nothing there was changed."
        ) from error


def _quiet_libraries() -> None:
    """Keep log messages that libraries print for developers out of the terminal."""
    for library in ("absl", "alembic", "mlflow", "torch"):
        logging.getLogger(library).setLevel(logging.ERROR)


@contextmanager
def _native_silence() -> Iterator[None]:
    """Hide what MediaPipe's C++ code writes to stderr; it has no setting for that."""
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


if __name__ == "__main__":
    sys.exit(main())
