"""A set's files, in a zip that is read in place or in a folder."""

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

from training.datasets.prepared import PreparedError

DEEPEST = 3
"""How many folders may lie around a set."""
BROKEN = (OSError, KeyError, BadZipFile, EOFError, RuntimeError, zlib.error)
"""What reading a damaged, locked or unknown member raises."""


@lru_cache(maxsize=4)
def _opened(path: Path) -> ZipFile:
    return ZipFile(path)


@dataclass(frozen=True)
class Files:
    """A zip file or its unpacked folder; hidden files and those that macOS adds aren't seen."""

    path: Path
    top: str = ""
    """The folders around the set, with a slash at the end; members are named from there on."""

    @classmethod
    def of(cls, path: Path | None, set_name: str, *needs: str) -> "Files":
        """Return the source at `path`.

        Args:
            path: a zip or a folder; the set may lie in folders of it.
            set_name: for what is said.
            needs: files or folders of which the set has one; the first that is there tells where
                the set begins.

        Raises:
            PreparedError: nothing is there, it is no zip or folder, a zip that isn't safe, or it
                lacks what it needs or has it in several places.
        """
        if path is None:
            raise PreparedError(f"The set {set_name} needs its source: name its zip or folder.")
        if not path.exists():
            raise PreparedError(f"There is no {path}; name the zip or folder of {set_name}.")
        if not (path.is_dir() or is_zipfile(path)):
            raise PreparedError(f"{path} is neither a folder nor a zip; name those of {set_name}.")
        if not path.is_dir():
            _check(path)
        whole = cls(path)
        found = (top for member in needs if (top := whole.top_of(member)) is not None)
        top = next(found, None if needs else "")
        if top is None:
            raise PreparedError(f"{path} isn't {set_name}: it has no {' or '.join(needs)}.")
        return cls(path, top)

    def top_of(self, member: str) -> str | None:
        """Return the folders around a file or folder, with a slash at the end; None without it.

        Raises:
            PreparedError: it lies in several places.
        """
        tops = {"": None} if self._holds(member) else dict.fromkeys(self._tops(member))
        nearest = [t for t in tops if t.count("/") == min(top.count("/") for top in tops)]
        if len(nearest) > 1:
            places = ", ".join(sorted(nearest)[:3])
            raise PreparedError(f"{self.path} has {member} in {places}; name the folder you mean.")
        return nearest[0] if nearest else None

    def has(self, member: str) -> bool:
        """Return whether there is such a file."""
        if self.path.is_dir():
            return (self.path / self.top / member).is_file()
        return self.top + member in _opened(self.path).NameToInfo

    def members(self, folder: str = "") -> Iterator[str]:
        """Yield the files under `folder`, which ends with a slash, sorted.

        Raises:
            PreparedError: the name of one can't be written down.
        """
        found = self._walked(folder) if self.path.is_dir() else self._listed(folder)
        members = sorted(member for member in found if not _is_hidden(member))
        try:
            "".join(members).encode()
        except UnicodeEncodeError as error:
            odd = error.object[max(error.start - 20, 0) : error.end + 20]
            raise PreparedError(f"{self.path} has a name that isn't UTF-8, ...{odd!r}...") from None
        yield from members

    def read(self, member: str) -> bytes:
        """Return a member's bytes.

        Raises:
            PreparedError: it can't be read.
        """
        try:
            if self.path.is_dir():
                return (self.path / self.top / member).read_bytes()
            return _opened(self.path).read(self.top + member)
        except BROKEN as error:
            raise PreparedError(f"{member} can't be read from {self.path}: {error}.") from error

    def open(self, member: str) -> io.BufferedIOBase:
        """Open a member, to be read in parts."""
        if self.path.is_dir():
            return (self.path / self.top / member).open("rb")
        return cast("io.BufferedIOBase", _opened(self.path).open(self.top + member))

    def table(self, member: str, needs: Sequence[str] = (), *, header: bool = True) -> pd.DataFrame:
        """Return a CSV file as text, without guessing types.

        Raises:
            PreparedError: it can't be read, is no such file, or has no column of these names.
        """
        text, first = io.BytesIO(self.read(member)), 0 if header else None
        try:
            table = pd.read_csv(text, header=first, dtype=str, keep_default_na=False)
        except ValueError as error:
            said = " ".join(str(error).split())
            raise PreparedError(f"{member} of {self.path} is no CSV: {said}.") from error
        if missing := [column for column in needs if column not in table]:
            raise PreparedError(f"{member} of {self.path} has no column {', '.join(missing)}.")
        return table

    def _walked(self, folder: str) -> Iterator[str]:
        root = self.path / self.top
        for where, _, names in os.walk(root / folder):
            inside = Path(where).relative_to(root).as_posix()
            yield from names if inside == "." else (f"{inside}/{name}" for name in names)

    def _listed(self, folder: str) -> Iterator[str]:
        for name in _opened(self.path).NameToInfo:
            if name.startswith(self.top + folder) and not name.endswith("/"):
                yield name.removeprefix(self.top)

    def _holds(self, member: str) -> bool:
        return self.path.is_dir() and (self.path / self.top / member).exists()

    def _tops(self, member: str) -> Iterator[str]:
        """Yield what lies around each file or folder of this name."""
        if self.path.is_dir():
            yield from self._tops_in_folder(member)
            return
        ends = re.compile(rf"(?:^|(?<=/)){re.escape(member)}(?:/|$)")
        for name in self._listed(""):
            found = ends.search(name)
            if found and not _is_hidden(name) and name[: found.start()].count("/") <= DEEPEST:
                yield name[: found.start()]

    def _tops_in_folder(self, member: str) -> Iterator[str]:
        root = self.path / self.top
        for where, inside, _ in os.walk(root):
            top = "".join(f"{part}/" for part in Path(where).relative_to(root).parts)
            if not _is_hidden(top) and (Path(where) / member).exists():
                yield top
            if top.count("/") == DEEPEST:
                inside.clear()


def _is_hidden(member: str) -> bool:
    return "/." in f"/{member}" or member.startswith("__MACOSX/")


def _check(path: Path) -> None:
    """Refuse a zip with what no set has: members that lead out of it, links, passwords."""
    try:
        members = _opened(path).infolist()
    except BROKEN as error:
        raise PreparedError(f"{path} is a damaged zip: {error}; fetch it again.") from error
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", parts[0]):
            why = f"its member {member.filename!r} leads out of it"
        elif stat.S_ISLNK(member.external_attr >> 16):
            why = f"its member {member.filename!r} is a link"
        elif member.flag_bits & 1:
            why = "it has a password"
        else:
            continue
        raise PreparedError(f"{path} isn't read: {why}; unpack it and name the folder.")
