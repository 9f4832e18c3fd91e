"""SHA256SUMS: the digest of each file of a folder, as `sha256sum` writes and checks it."""

import hashlib
import re
from pathlib import Path, PurePosixPath

from registry.console import printable, track
from registry.errors import BadExport
from registry.exchange.layout import CHECKSUMS

LINE = re.compile(r"([0-9a-f]{64})  ([^\\]+)")
LARGEST = 1_000_000
"""Most bytes of the file that are read."""


def write(folder: Path) -> list[str]:
    """Write the digests of all files of a folder into it, and return the files' names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    lines = [
        f"{_digest(folder / name)}  {name}\n"
        for name in track(names, "files", total=len(names), transient=True)
    ]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
    return [*names, CHECKSUMS]


def verify(folder: Path) -> set[str]:
    """Compare the files of a folder with their digests, and return the names of the files.

    Files without a digest are not looked at.

    Raises:
        BadExport: a file is damaged, missing or no plain file of this folder, or there are no
            digests; the message names the file.
        OSError: a file can't be read.
    """
    listed = _read(folder)
    for name, digest in track(listed.items(), "files", total=len(listed), transient=True):
        path = folder / name
        if any(part.is_symlink() for part in (path, *path.parents) if part != folder.parent):
            raise BadExport(f"{printable(name)} in {folder} is a link: only plain files are read.")
        if not path.is_file():
            raise BadExport(f"{printable(name)} is missing in {folder}: copy it again.")
        if _digest(path) != digest:
            raise BadExport(
                f"{printable(name)} in {folder} is damaged: its SHA-256 is not the one in "
                f"{CHECKSUMS}; copy it again."
            )
    return set(listed)


def _read(folder: Path) -> dict[str, str]:
    """Return the digests by the names of files, none of which is outside the folder."""
    file = folder / CHECKSUMS
    if not folder.is_dir() or not file.is_file() or file.stat().st_size > LARGEST:
        raise BadExport(
            f"{folder} is no exported version: it holds no {CHECKSUMS}; name a folder that "
            "`python -m registry export` wrote."
        )
    text = file.read_text(encoding="utf-8", errors="replace")
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    listed = {match[2]: match[1] for match in matches if match}
    if None in matches or not listed or not all(map(_is_inside, listed)):
        raise BadExport(
            f"{CHECKSUMS} in {folder} is damaged, or names a file outside: copy it again."
        )
    return listed


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
