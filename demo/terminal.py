"""What the terminal's commands share: progress, provenance, and files that can't be written."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry import console

if TYPE_CHECKING:
    from demo.local_answers import Answer
    from demo.photo_files import PhotoFile


class NotWritten(OSError):
    """A file could not be written; the message is one sentence."""


def provenance(answer: "Answer") -> str:
    """Return which version answered, on which device, by which engine, in how many seconds."""
    version = f"{answer['model']}, version {answer['version']}"
    validated = "" if answer["validated"] else " (not validated)"
    place = f"run {answer['run_id'][:8]}, {answer['device']}, {answer['engine']}"
    cached = ", from the cache" if answer["cached"] else ""
    return f"{version}{validated}, {place}, {answer['seconds']:.2f} s{cached}"


def tracked(
    photos: "Sequence[PhotoFile]", done: str, total: int | None = None
) -> "Iterable[PhotoFile]":
    """Report progress where there are several photos; some of `total` may be done already."""
    count = total or len(photos)
    return console.track(
        photos, done, total=count, completed=count - len(photos), disable=count == 1
    )


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn a failure to write `path` into one sentence."""
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        raise NotWritten(
            f"{path} can't be written ({error.strerror}); nothing there was changed."
        ) from error
