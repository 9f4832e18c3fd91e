"""The photos that a command names: files, and the pictures in folders and zips."""

import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from registry.console import printable
from registry.photos import PHOTO_SUFFIXES, PhotoError, check_photo

MEMBER_BYTES = 500_000_000
"""Largest picture that is read from a zip."""
HIDDEN = (".", "__MACOSX")
"""How the names of files begin that systems add."""


@dataclass(frozen=True)
class PhotoFile:
    """A photo: a file, or a member of a zip."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def modified_ns(self) -> int:
        """When the file, or the zip, was changed last: nanoseconds since 1970; 0 where unknown."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def read(self, max_bytes: int = MEMBER_BYTES) -> Path | bytes:
        """Return the path of a file, or what a zip's member holds.

        Args:
            max_bytes: How large a member may be.

        Raises:
            PhotoError: The member can't be read.
        """
        if self.member is None:
            return self.path
        try:
            with zipfile.ZipFile(self.path) as archive:
                info = archive.getinfo(self.member)
                if info.flag_bits & 1:
                    raise PhotoError(f"{self} has a password; unpack it first.")
                if info.file_size > max_bytes:
                    raise PhotoError(f"{self} is larger than {max_bytes // 10**6} MB.")
                return archive.read(info)
        except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise PhotoError(
                f"{self} can't be unpacked ({error}); unpack the zip first."
            ) from error


class PhotoFiles:
    """The photos of one command, and how many were refused; prints why a photo can't be used.

    Args:
        named: Files, folders and zips.
    """

    def __init__(self, named: Iterable[Path]) -> None:
        self.refused = 0
        self.usable: list[PhotoFile] = []
        for path in named:
            try:
                self.usable += expand(path)
            except PhotoError as error:
                self.refuse(PhotoFile(path), error)

    def check(self) -> None:
        """Check the headers of all photos."""
        for photo in tuple(self.usable):
            try:
                check_photo(photo.read())
            except PhotoError as error:
                self.refuse(photo, error)
                self.usable.remove(photo)

    def refuse(self, photo: PhotoFile, error: Exception) -> None:
        """Print why a photo can't be used, and count it."""
        self.refused += 1
        name, message = str(photo), str(error)
        known = name in message or (photo.member is None and photo.path.name in message)
        print(printable(message if known else f"{name}: {message}"), file=sys.stderr)


def expand(path: Path) -> list[PhotoFile]:
    """Return a file as it is, and all pictures in a folder or zip, sorted by name.

    Raises:
        PhotoError: A folder or zip can't be read, or holds no picture.
    """
    if path.is_dir():
        photos = [PhotoFile(file) for file in sorted(_pictures_of_folder(path))]
    elif path.suffix.lower() == ".zip" and path.is_file():
        photos = [PhotoFile(path, member) for member in sorted(_pictures_of_zip(path))]
    else:
        return [PhotoFile(path)]
    if not photos:
        raise PhotoError(f"{path} holds no picture; name another one.")
    return photos


def _pictures_of_folder(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if _is_picture(file.relative_to(folder).parts) and file.is_file():
            yield file


def _pictures_of_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise PhotoError(f"{path} is no zip that can be read ({error}).") from error
    return [name for name in names if _is_picture(PurePosixPath(name).parts)]


def _is_picture(parts: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(HIDDEN) for part in parts)
    return not hidden and PurePosixPath(parts[-1]).suffix.lower() in PHOTO_SUFFIXES
