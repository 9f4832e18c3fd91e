"""What the terminal's commands share: options, and checks of what is named before any work."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

PhotoFace = Annotated[int | None, arg(metavar="N")]
Photos = Annotated[Positional[tuple[Path, ...]], arg(metavar="PHOTO [PHOTO ...]")]
Output = arg(aliases=["-o"], metavar="FILE")


class BadArguments(ValueError):
    """The arguments can't be used; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """The options of every command."""

    json: bool = False
    """Print JSON."""
    local: bool = False
    """Answer in this process although the page is open on the same registry and could be asked."""


def check_photos(photos: Sequence[object]) -> None:
    """Raise BadArguments where no photo is named."""
    if not photos:
        raise BadArguments("Name at least one PHOTO.")


def check_face(face: int | None) -> None:
    """Raise BadArguments where a face has no number from 1."""
    if face is not None and face < 1:
        raise BadArguments(f"{face} is no face: 1 is the largest, 2 the next.")


def check_strength(strength: float) -> None:
    """Raise BadArguments where a strength is out of range."""
    from demo.transfer import BadStrength, check_strength

    try:
        check_strength(strength)
    except BadStrength as error:
        raise BadArguments(str(error)) from error


def check_output(path: Path, suffix: str, *, is_folder: bool = False) -> None:
    """Check that a file or a folder can be written there, and that its name ends with `suffix`."""
    if path.suffix != suffix:
        raise BadArguments(f"{str(path)!r} does not end with {suffix}: name such a file to write.")
    try:
        is_other = path.is_file() if is_folder else path.is_dir()
        has_folder = path.parent.is_dir()
    except OSError:
        is_other, has_folder = True, True
    if not has_folder:
        raise BadArguments(f"There is no folder {str(path.parent)!r}: make it first.")
    if is_other or not os.access(path.parent, os.W_OK):
        raise BadArguments(f"{str(path)!r} can't be written: name another file.")


def check_store_address(named: str) -> None:
    """Raise BadArguments where an address can't be that of an object store; a path always can."""
    from demo.object_store import check_address, is_address
    from registry.photos import PhotoError

    try:
        if is_address(named):
            check_address(named)
    except PhotoError as error:
        raise BadArguments(str(error)) from error


def is_table(path: Path) -> bool:
    """Return whether a path is named as a table of faces: a Parquet file."""
    return path.suffix == ".parquet" and not path.is_dir()


def is_folder_or_zip(path: Path) -> bool:
    """Return whether a path is a folder, or a file that is named as a zip."""
    return path.is_dir() or (path.suffix.lower() == ".zip" and path.is_file())
