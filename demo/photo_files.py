"""The photos that a command names: files, and the pictures in folders, zips and object stores."""

import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from demo.object_store import StoredFile, is_address, list_files
from registry.console import printable
from registry.photos import PHOTO_SUFFIXES, PhotoError, check_photo

MEMBER_BYTES = 500_000_000
"""Largest picture that is read from a zip."""
ZIP = ".zip"
HIDDEN = (".", "__MACOSX")
"""How the names of files begin that systems add."""


@dataclass(frozen=True)
class PhotoFile:
    """A photo: a file, or a member of a zip."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.source) if self.member is None else f"{self.source}/{self.member}"

    @property
    def source(self) -> Path | StoredFile:
        """The file, or the zip."""
        return self.path

    @property
    def modified_ns(self) -> int:
        """When the file, or the zip, was changed last: nanoseconds since 1970; 0 where unknown."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def read(self, max_bytes: int = MEMBER_BYTES) -> Path | bytes:
        """Return the path of a file, or what a zip's member or a stored file holds.

        Args:
            max_bytes: How large a member or a stored file may be.

        Raises:
            PhotoError: The member or the stored file can't be read.
        """
        if self.member is None:
            return self._whole(max_bytes)
        try:
            with opened_zip(self.source) as archive:
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

    def _whole(self, max_bytes: int) -> Path | bytes:  # noqa: ARG002, a stored photo needs it
        return self.path


@dataclass(frozen=True)
class StoredPhoto(PhotoFile):
    """A photo in an object store, or the member of a zip there; `path` is its key."""

    file: StoredFile = field(kw_only=True)

    @property
    def source(self) -> StoredFile:
        """The file in the store, or the zip."""
        return self.file

    @property
    def modified_ns(self) -> int:
        """When the file, or the zip, was changed last: nanoseconds since 1970; 0 where unknown."""
        return self.file.modified_ns

    def _whole(self, max_bytes: int) -> bytes:
        return self.file.read(max_bytes)


def photo_file(source: Path | StoredFile, member: str | None = None) -> PhotoFile:
    """Return a photo on disk or in an object store, or one in a zip there."""
    if isinstance(source, StoredFile):
        return StoredPhoto(Path(source.key), member, file=source)
    return PhotoFile(source, member)


def photo_at(name: str, folder: Path) -> PhotoFile:
    """Return the photo that `str` of a PhotoFile names, whether or not it is still there.

    Args:
        name: A path, an address of an object store, or a zip of these and its member.
        folder: Where a path that isn't in the working folder is looked for.
    """
    end = name.lower().find(f"{ZIP}/")
    member = name[end + len(ZIP) + 1 :] if end > 0 else None
    place = name[: end + len(ZIP)] if member is not None else name
    if is_address(place):
        return photo_file(StoredFile(place), member)
    path = Path(place) if Path(place).exists() else folder / place
    return photo_file(Path(name), None) if path.is_dir() else photo_file(path, member)


class PhotoFiles:
    """The photos of one command, and how many were refused; prints why a photo can't be used.

    Args:
        named: Files, folders and zips, on disk or in an object store.
    """

    def __init__(self, named: Iterable[Path | StoredFile]) -> None:
        self.refused = 0
        self.usable: list[PhotoFile] = []
        for path in named:
            try:
                self.usable += expand(path)
            except PhotoError as error:
                self.refuse(photo_file(path), error)

    def check(self) -> None:
        """Check the headers of all photos on disk."""
        for photo in tuple(self.usable):
            if isinstance(photo, StoredPhoto):
                continue  # to read its header is to fetch it
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


def expand(path: Path | StoredFile) -> list[PhotoFile]:
    """Return a file as it is, and all pictures in a folder or zip, sorted by name.

    Raises:
        PhotoError: A folder, zip or object store can't be read, or holds no picture.
    """
    if isinstance(path, StoredFile):
        photos = _stored_photos(path)
    elif path.is_dir():
        photos = [PhotoFile(file) for file in sorted(_pictures_of_folder(path))]
    elif path.suffix.lower() == ZIP and path.is_file():
        photos = _photos_of_zip(path)
    else:
        return [PhotoFile(path)]
    if not photos:
        raise PhotoError(f"{path} holds no picture; name another one.")
    return photos


@contextmanager
def opened_zip(path: Path | StoredFile) -> Iterator[zipfile.ZipFile]:
    """Open a zip on disk or in an object store for reading."""
    if isinstance(path, StoredFile):
        with path.open() as file, zipfile.ZipFile(file) as archive:
            yield archive
    else:
        with zipfile.ZipFile(path) as archive:
            yield archive


def _stored_photos(place: StoredFile) -> list[PhotoFile]:
    files = list_files(place)
    if [str(file) for file in files] != [str(place)]:
        start = len(str(place).rstrip("/"))
        return [
            photo_file(file)
            for file in files
            if _is_picture(PurePosixPath(str(file)[start:].lstrip("/")).parts)
        ]
    return _photos_of_zip(files[0]) if place.suffix.lower() == ZIP else [photo_file(files[0])]


def _pictures_of_folder(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if _is_picture(file.relative_to(folder).parts) and file.is_file():
            yield file


def _photos_of_zip(path: Path | StoredFile) -> list[PhotoFile]:
    try:
        with opened_zip(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise PhotoError(f"{path} is no zip that can be read ({error}).") from error
    pictures = [name for name in names if _is_picture(PurePosixPath(name).parts)]
    return [photo_file(path, member) for member in sorted(pictures)]


def _is_picture(parts: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(HIDDEN) for part in parts)
    return not hidden and PurePosixPath(parts[-1]).suffix.lower() in PHOTO_SUFFIXES
