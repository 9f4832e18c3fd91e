"""The files of a data set, in a folder or in a zip that is read in place."""

import hashlib
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast
from zipfile import BadZipFile, ZipFile, is_zipfile

import pandas as pd

from training.datasets.prepared import PreparedError, reason_of

LARGEST_DEPTH = 3
"""How many levels of folders may be around a set."""
READ_ERRORS = (OSError, KeyError, BadZipFile, EOFError, RuntimeError, zlib.error)
"""Raised when a damaged, encrypted or missing member is read."""


@lru_cache(maxsize=4)
def _opened(path: Path) -> ZipFile:
    return ZipFile(path)


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
            PreparedError: there is nothing at `path`, it is no zip or folder, the zip isn't safe,
                or none of `needs` is found, or one of them in several places.
        """
        if path is None:
            raise PreparedError(f"The set {set_name} needs its source: name its zip or folder.")
        if not path.exists():
            raise PreparedError(f"There is no {path}; name the zip or folder of {set_name}.")
        if not (path.is_dir() or is_zipfile(path)):
            raise PreparedError(f"{path} is neither a folder nor a zip; name those of {set_name}.")
        if not path.is_dir():
            _check_zip(path)
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
        return self.root + member in _opened(self.path).NameToInfo

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

    def read(self, member: str) -> bytes:
        """Return a member's bytes.

        Raises:
            PreparedError: it can't be read.
        """
        try:
            if self.path.is_dir():
                return (self.path / self.root / member).read_bytes()
            return _opened(self.path).read(self.root + member)
        except READ_ERRORS as error:
            raise PreparedError(
                f"{member} can't be read from {self.path}: {reason_of(error)}; get that file again."
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
        return cast("io.BufferedIOBase", _opened(self.path).open(self.root + member))

    def read_csv(
        self, member: str, needs: Sequence[str] = (), *, header: bool = True
    ) -> pd.DataFrame:
        """Return a CSV file as a table of text.

        Raises:
            PreparedError: it can't be read, is no CSV, or lacks one of the columns `needs`.
        """
        text, first = io.BytesIO(self.read(member)), 0 if header else None
        try:
            table = pd.read_csv(text, header=first, dtype=str, keep_default_na=False)
        except ValueError as error:
            raise PreparedError(
                f"{member} of {self.path} isn't valid CSV: {reason_of(error)}; get that file again."
            ) from error
        if missing := [column for column in needs if column not in table]:
            raise PreparedError(
                f"{member} of {self.path} has no column {', '.join(missing)}; get that file again."
            )
        return table

    def _walk_folder(self, folder: str) -> Iterator[str]:
        root = self.path / self.root
        for where, _, names in os.walk(root / folder):
            inside = Path(where).relative_to(root).as_posix()
            yield from names if inside == "." else (f"{inside}/{name}" for name in names)

    def _list_zip(self, folder: str) -> Iterator[str]:
        for name in _opened(self.path).NameToInfo:
            if name.startswith(self.root + folder) and not name.endswith("/"):
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


def _check_zip(path: Path) -> None:
    """Refuse a zip with members outside of it, links or a password."""
    try:
        members = _opened(path).infolist()
    except READ_ERRORS as error:
        raise PreparedError(
            f"{path} is a damaged zip: {reason_of(error)}; get it again."
        ) from error
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", parts[0]):
            why = f"its member {member.filename!r} points outside of it"
        elif stat.S_ISLNK(member.external_attr >> 16):
            why = f"its member {member.filename!r} is a link"
        elif member.flag_bits & 1:
            why = "it has a password"
        else:
            continue
        raise PreparedError(f"{path} isn't read: {why}; unpack it and name the folder.")
