"""The files of a data set, in a folder or in a zip that is read in place."""

import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from zipfile import is_zipfile

from registry.photos import PHOTO_SUFFIXES
from training.datasets.prepared import PreparedError, reason_of
from training.datasets.readers.zips import (
    ARCHIVE_SUFFIXES,
    LARGEST_BYTES,
    READ_ERRORS,
    TOO_LARGE,
    check_is_zip,
    open_zip,
)
from training.datasets.source import MemberError

LARGEST_DEPTH = 3
"""How many levels of folders may be around a set."""


@dataclass(frozen=True)
class DatasetFiles:
    """A zip file or its unpacked folder, without hidden files and those that macOS adds.

    Members are named by their path below `root`, with forward slashes.
    """

    path: Path
    root: str = ""
    """The folders around the set, with a slash at the end."""

    @classmethod
    def locate(cls, path: Path | None, set_name: str, *needs: str) -> "DatasetFiles":
        """Return the files of the set at `path`.

        Args:
            path: a zip or a folder; the set may lie in folders of it.
            set_name: name of the set, for messages.
            needs: files or folders of which the set has at least one; the first that is found
                determines the root of the set.

        Raises:
            PreparedError: there is nothing at `path`, it is no zip or folder, the zip can't be read
                whole (see `open_zip`), none of `needs` is found, or one of them in several places.
        """
        if path is None:
            raise PreparedError(f"The set {set_name} needs its source: name its zip or folder.")
        if not path.exists():
            raise PreparedError(f"There is no {path}; name the zip or folder of {set_name}.")
        if not path.is_dir():
            check_is_zip(path, set_name)
            open_zip(path)
        whole = cls(path)
        found = (root for member in needs if (root := whole.root_of(member)) is not None)
        root = next(found, None if needs else "")
        if root is None:
            raise PreparedError(
                f"{path} isn't {set_name}: it has no {' or '.join(needs)}; name the zip or folder "
                "as published."
            )
        return cls(path, root)

    def root_of(self, member: str) -> str | None:
        """Return the folders around a file or folder, with a slash at the end; None if not found.

        Raises:
            PreparedError: it lies in several places.
        """
        roots = [""] if self._has_in_folder(member) else list(dict.fromkeys(self._roots(member)))
        depth = min((root.count("/") for root in roots), default=0)
        outermost = [root for root in roots if root.count("/") == depth]
        if len(outermost) > 1:
            places = ", ".join(sorted(outermost)[:3])
            raise PreparedError(f"{self.path} has {member} in {places}; name the folder you mean.")
        return outermost[0] if outermost else None

    def has(self, member: str) -> bool:
        """Return whether there is such a file."""
        if self.path.is_dir():
            return (self.path / self.root / member).is_file()
        return self.root + member in open_zip(self.path).members

    def members(self, folder: str = "") -> Iterator[str]:
        """Yield the files under `folder`, which ends with a slash, sorted.

        Raises:
            PreparedError: a name can't be encoded as UTF-8.
        """
        found = self._walk_folder(folder) if self.path.is_dir() else self._list_zip(folder)
        members = sorted(member for member in found if not _is_hidden(member))
        try:
            "".join(members).encode()
        except UnicodeEncodeError as error:
            odd = error.object[max(error.start - 20, 0) : error.end + 20]
            raise PreparedError(
                f"{self.path} has a name that isn't UTF-8, ...{odd!r}...; rename that file."
            ) from None
        yield from members

    def pictures(self, folder: str = "") -> list[str]:
        """Return the files under `folder` that are photos by their suffixes, in any case, sorted.

        Raises:
            PreparedError: a name can't be encoded as UTF-8.
        """
        return [member for member in self.members(folder) if is_picture(member)]

    def archives(self) -> list[str]:
        """Return the archives among the files: nothing in them is read."""
        return [m for m in self.members() if m.lower().endswith(ARCHIVE_SUFFIXES)]

    def read(self, member: str) -> bytes:
        """Return a member's bytes.

        Raises:
            MemberError: it can't be read, or is larger than any picture.
        """
        size = self._size(member)
        if size > LARGEST_BYTES:
            sentence = f"{member} of {self.path} has {size:,} bytes, {TOO_LARGE}; leave it out."
            raise MemberError(sentence, f"the file is larger than {LARGEST_BYTES >> 20} MiB")
        try:
            if self.path.is_dir():
                return (self.path / self.root / member).read_bytes()
            return open_zip(self.path).read(self.root + member)
        except READ_ERRORS as error:
            why = reason_of(error)
            raise MemberError(
                f"{member} can't be read from {self.path}: {why}; get that file again.",
                "the file is damaged or missing",
            ) from error

    def digest(self, member: str) -> str:
        """Return the sha256 of a member's bytes.

        Raises:
            PreparedError: it can't be read.
        """
        return hashlib.sha256(self.read(member)).hexdigest()

    def open(self, member: str) -> io.BufferedIOBase:
        """Open a member, to be read in parts; raises READ_ERRORS."""
        if self.path.is_dir():
            return (self.path / self.root / member).open("rb")
        return open_zip(self.path).open(self.root + member)

    def _size(self, member: str) -> int:
        """Return a member's bytes, unpacked; 0 if there is no such member."""
        if self.path.is_dir():
            file = self.path / self.root / member
            return file.stat().st_size if file.is_file() else 0
        info = open_zip(self.path).members.get(self.root + member)
        return info.file_size if info else 0

    def _walk_folder(self, folder: str) -> Iterator[str]:
        root = self.path / self.root
        for where, _, names in os.walk(root / folder):
            inside = Path(where).relative_to(root).as_posix()
            yield from names if inside == "." else (f"{inside}/{name}" for name in names)

    def _list_zip(self, folder: str) -> Iterator[str]:
        for name in open_zip(self.path).members:
            if name.startswith(self.root + folder):
                yield name.removeprefix(self.root)

    def _has_in_folder(self, member: str) -> bool:
        return self.path.is_dir() and (self.path / self.root / member).exists()

    def _roots(self, member: str) -> Iterator[str]:
        """Yield the folders around each file or folder of this name."""
        if self.path.is_dir():
            yield from self._roots_in_folder(member)
            return
        ends = re.compile(rf"(?:^|(?<=/)){re.escape(member)}(?:/|$)")
        for name in self._list_zip(""):
            found = ends.search(name)
            if found and not _is_hidden(name) and name[: found.start()].count("/") <= LARGEST_DEPTH:
                yield name[: found.start()]

    def _roots_in_folder(self, member: str) -> Iterator[str]:
        root = self.path / self.root
        for where, inside, _ in os.walk(root):
            around = "".join(f"{part}/" for part in Path(where).relative_to(root).parts)
            if not _is_hidden(around) and (Path(where) / member).exists():
                yield around
            if around.count("/") == LARGEST_DEPTH:
                inside.clear()


def _is_hidden(member: str) -> bool:
    return "/." in f"/{member}" or member.startswith("__MACOSX/")


def is_picture(member: str) -> bool:
    """Return whether a file is a photo by its suffix, in any case."""
    return PurePosixPath(member).suffix.lower() in PHOTO_SUFFIXES


def explain_archives(path: Path | None) -> PreparedError | None:
    """Return what to do about a folder or zip that has no pictures but archives; None for others.

    RAF-DB and AffectNet are published as archives in an archive.
    """
    if path is None or not (path.is_dir() or is_zipfile(path)):
        return None
    source = DatasetFiles(path)
    try:
        archives = [] if source.pictures() else source.archives()
    except PreparedError:
        return None
    if not archives:
        return None
    named = ", ".join(archives[:3]) + (", ..." if len(archives) > 3 else "")
    return PreparedError(
        f"{path} has no pictures but other archives ({named}), which aren't read in place; unpack "
        "them all and name the folder."
    )


class PictureFinder:
    """Finds the pictures that a set's tables name, though systems write their names differently.

    A picture is found by its path; otherwise by its path without regard to case, to the suffix, to
    the separators of Windows and to how accents are composed, if only one picture fits.

    Args:
        members: the pictures of a source.
    """

    def __init__(self, members: list[str]) -> None:
        self._members = frozenset(members)
        self._by_key: dict[str, list[str]] = {}
        for member in members:
            self._by_key.setdefault(_key(member), []).append(member)

    def find(self, path: str) -> str | None:
        """Return the member that a path of a table means; None if there is none or not only one."""
        if path in self._members:
            return path
        found = self._by_key.get(_key(path), [])
        return found[0] if len(found) == 1 else None


def _key(path: str) -> str:
    plain = path.replace("\\", "/").removeprefix("./")
    stem, dot, suffix = plain.rpartition(".")
    known = dot and f".{suffix.lower()}" in PHOTO_SUFFIXES
    return normalize("NFC", stem if known else plain).casefold()
