"""The page's answers in a terminal: python -m demo compare | emotion | embed | transfer."""

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from demo.arguments import parsed

if TYPE_CHECKING:
    from demo.models import ModelServer
    from demo.predictors import Embedding, EmotionAnswer, Photo, TripletAnswer

DONE, BAD_INPUT, NO_REGISTRY, INTERRUPTED = 0, 2, 3, 130


class NotWritten(OSError):
    """A file could not be written; the message is one sentence."""


class Photos:
    """The photos of one command; says which of them cannot be answered, and why."""

    def __init__(self, wanted: Sequence[tuple[Path, Sequence[int]]]) -> None:
        self._wanted = list(wanted)
        self.refused = 0

    def check(self) -> bool:
        """Look at the headers of all files; return whether there is one to go on with."""
        from registry.photos import PhotoError, check_photo

        for file, which in tuple(self._wanted):
            try:
                check_photo(file)
            except PhotoError as error:
                self._refuse(file, error)
                self._wanted.remove((file, which))
        return bool(self._wanted)

    def each(self) -> Iterator[tuple[Path, "Photo"]]:
        """Yield, one after the other, the photos that have the faces asked for."""
        from demo.predictors import look
        from registry.faces import FaceCropper
        from registry.photos import PhotoError

        cropper = FaceCropper()
        for file, faces in self._wanted:
            try:
                with _native_silence():
                    photo = look(file, cropper)
                for which in faces:
                    photo.face(which)
            except PhotoError as error:
                self._refuse(file, error)
            else:
                yield file, photo

    def _refuse(self, file: Path, error: Exception) -> None:
        self.refused += 1
        told = str(error)
        print(told if file.name in told else f"{file}: {told}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one command; return 0, 2 for a photo that can't be answered, 3 for the registry."""
    options = parsed(COMMANDS, arguments)
    _quiet()
    photos = Photos(options.photos)
    if not photos.check() or (photos.refused and options.answer in (compare, transfer)):
        return BAD_INPUT
    from demo.models import ModelServer
    from registry.errors import RegistryError
    from registry.photos import PhotoError

    try:
        options.answer(options, photos, ModelServer(poll_seconds=None))
    except (PhotoError, NotWritten) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except RegistryError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT if photos.refused else NO_REGISTRY
    except KeyboardInterrupt:
        return INTERRUPTED
    return BAD_INPUT if photos.refused else DONE


def compare(options: argparse.Namespace, photos: Photos, served: "ModelServer") -> None:
    """Print which two of three photos share an expression."""
    from demo.predictors import PAIRS, TripletComparer

    looked = [photo for _, photo in photos.each()]
    if photos.refused:
        return
    which = (options.face or (0,)) * 3
    answer = TripletComparer(served).compare(looked, which)
    if options.json:
        boxes = [photo.face(w).box for photo, w in zip(looked, which, strict=True)]
        _print_json(_told(answer) | {"boxes": boxes})
        return
    print(answer.sentence)
    for i, (one, other) in enumerate(PAIRS):
        identity = answer.identity_distances and f", identity {answer.identity_distances[i]:.3f}"
        print(f"  {one} and {other}: expression {answer.distances[i]:.3f}{identity or ''}")
    print(f"  {answer.stamp}")


def emotion(options: argparse.Namespace, photos: Photos, served: "ModelServer") -> None:
    """Print the emotion of each face of each photo."""
    from demo.predictors import EmotionRecognizer

    recognizer = EmotionRecognizer(served)
    rows = []
    for file, photo in photos.each():
        for answer in recognizer.recognise(photo, options.face):
            rows.append(_named(file, answer) | _told(answer))
            if not options.json:
                shares = [f"{label} {share:.1%}" for label, share in answer.probabilities.items()]
                print(f"{file}, face {answer.which + 1}: {answer.sentence}")
                print(f"  {', '.join(shares)}\n  {answer.stamp}")
    if options.json and rows:
        _print_json(rows)


def embed(options: argparse.Namespace, photos: Photos, served: "ModelServer") -> None:
    """Write the vectors of each face of each photo into a table."""
    from demo.predictors import TripletComparer

    comparer = TripletComparer(served)
    rows = []
    for file, photo in photos.each():
        for face in comparer.embed(photo, options.face):
            identity = None if face.identity is None else face.identity.tolist()
            rows.append(
                _named(file, face)
                | {"expression": face.expression.tolist(), "identity": identity}
                | {"model": face.stamp.model, "version": face.stamp.version}
            )
    if rows:
        _write(rows, options.output)
        print(
            f"{options.output} holds {len(rows)} faces of {len({r['file'] for r in rows})} photos."
        )


def transfer(options: argparse.Namespace, photos: Photos, served: "ModelServer") -> None:
    """Write one person's photo with another's expression, and print what it is worth."""
    from demo.limits import OPEN_FACES
    from demo.marking import png
    from demo.transfer import CONSENT, ExpressionTransfer

    print(CONSENT, OPEN_FACES, sep="\n", file=sys.stderr)
    looked = [photo for _, photo in photos.each()]
    if photos.refused:
        return
    source, driver = looked[0], looked[1] if len(looked) > 1 else None
    which = (*options.source_face, *options.driver_face)
    answer = ExpressionTransfer(served).transfer(source, driver, which, options.strength)
    _replace(options.output, png(answer.picture))
    if options.json:
        _print_json(answer.told() | {"file": str(options.output)})
        return
    found = answer.metrics
    to_driver = (
        "" if found.driver_likeness is None else f", to the other {found.driver_likeness:.2f}"
    )
    print(answer.sentence, *answer.warnings, sep="\n  ")
    print(f"  distance to the expression: {found.before:.2f} before, {found.after:.2f} after")
    print(f"  likeness to the person {found.likeness:.2f}{to_driver}")
    print(f"  {options.output}\n  {answer.stamp}")


def _replace(path: Path, content: bytes) -> None:
    """Write a whole file or leave what was there.

    Raises:
        NotWritten: The disk is full, the name too long, or the folder closed.
    """
    unfinished = path.with_name(f".{uuid4().hex}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise NotWritten(
            f"{path} can't be written ({error.strerror}); nothing there was changed."
        ) from error


def _named(file: Path, answer: "EmotionAnswer | Embedding") -> dict[str, Any]:
    """Return which face an answer is about."""
    return {"file": str(file), "face": answer.which + 1, "box": list(answer.face.box)}


def _told(answer: "TripletAnswer | EmotionAnswer") -> dict[str, Any]:
    """Return what an answer says, and who gave it, as JSON can hold it."""
    said = {k: v for k, v in vars(answer).items() if k not in ("which", "face", "stamp")}
    return said | vars(answer.stamp)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write all rows as a Parquet table; raises as `_replace` does."""
    import pyarrow as pa
    from pyarrow import parquet

    numbers = pa.list_(pa.float32())
    named = {"file": pa.string(), "face": pa.int64(), "box": numbers}
    asked = {"model": pa.string(), "version": pa.int64()}
    schema = pa.schema(named | {"expression": numbers, "identity": numbers} | asked)
    table = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), table)
    _replace(path, table.getvalue().to_pybytes())


def _quiet() -> None:
    """Keep what libraries tell their developers out of the terminal."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for library in ("absl", "alembic", "mlflow", "torch"):
        logging.getLogger(library).setLevel(logging.ERROR)


@contextmanager
def _native_silence() -> Iterator[None]:
    """Hide what MediaPipe's C++ writes to the error stream; no setting of its own does."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


COMMANDS = {"compare": compare, "emotion": emotion, "embed": embed, "transfer": transfer}


if __name__ == "__main__":
    sys.exit(main())
