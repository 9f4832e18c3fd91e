"""A local store as one file: its database, its artifacts, and a digest of each."""

import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from filelock import FileLock

from registry import store
from registry.console import track
from registry.errors import BadBackup, EmptyRegistry, Unreachable
from registry.files import PART, atomic_write
from registry.store import database, store_errors
from registry.temporary import TemporaryFolder

FORMAT = 1
MANIFEST, ARTIFACTS = "backup.json", "artifacts"
LARGEST_MANIFEST = 100_000_000
RESTORING, REPLACED = "restoring", "replaced"
"""How the names of folders in the store begin that hold an unfinished restore, and what was there
before one."""
CHUNK = 1 << 20
KEPT = "nothing was changed"


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What a backup holds."""

    files: int
    size_bytes: int


def write(output: Path) -> Backup:
    """Write the local store into a new file, while others may use it.

    The database comes first: every file that it names was written before.

    Raises:
        BadBackup: the file is there already, or its folder is not.
        EmptyRegistry: there is no local store.
        Unreachable: the store is a server's, or the disk can't be read or written.
    """
    local = _local("backs it up")
    if not (local / database.NAME).exists():
        raise EmptyRegistry(f"There is no registry in {local} to back up.")
    if output.exists():
        raise BadBackup(f"{output} is there already: name a new file.")
    if not output.absolute().parent.is_dir():
        raise BadBackup(f"The folder of {output} is not there: make it first.")
    outcome = f"{output} was not written"
    with store.answering(outcome), TemporaryFolder() as folder, atomic_write(output) as part:
        copy = folder / database.NAME
        database.copy_to(local / database.NAME, copy)
        files = {database.NAME: copy, **_artifacts(local)}
        sizes = {name: path.stat().st_size for name, path in files.items()}
        store_errors.require_space({output.absolute().parent: sum(sizes.values())})
        with tarfile.open(part, "w") as archive:
            digests = dict(_add_all(archive, files))
            _add_manifest(archive, local, digests)
    return Backup(files=len(digests), size_bytes=output.stat().st_size)


def restore(file: Path) -> Path | None:
    """Make the local store what a backup holds.

    The backup may come from another folder or machine: the places of files are adapted.

    Returns:
        The folder with the store as it was before; None where there was none.

    Raises:
        BadBackup: the file is no whole backup; nothing was changed.
        Unreachable: a process uses the store, it is a server's, or the disk can't be written.
    """
    local = _local("restores it")
    local.mkdir(parents=True, exist_ok=True)
    with store.answering(KEPT), FileLock(local / ".lock"):
        for leftover in local.glob(f"{RESTORING}-*"):
            shutil.rmtree(leftover)
        new = local / f"{RESTORING}-{datetime.now():%Y%m%d-%H%M%S-%f}"
        try:
            with _reading(file):
                manifest = _unpack(file, new)
            _adapt(new / database.NAME, manifest, local)
            _require_unused(local)
            return _exchange(local, new)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _local(what: str) -> Path:
    local = store.folder()
    if local is None:
        raise Unreachable(
            f"The store {store.tracking_uri()} is a server's: whoever runs it {what}."
        )
    return local


def _artifacts(local: Path) -> dict[str, Path]:
    """Return the files of runs and versions, by their names in a backup."""
    found = (path for path in sorted((local / ARTIFACTS).rglob("*")) if path.is_file())
    return {
        path.relative_to(local).as_posix(): path for path in found if not path.name.startswith(PART)
    }


def _add_all(archive: tarfile.TarFile, files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Add files and yield their names and SHA-256; one that was deleted meanwhile is left out."""
    for name, path in track(files.items(), "files", total=len(files), transient=True):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            hashed = _Hashed(file)
            archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), hashed)
        yield name, hashed.digest.hexdigest()


class _Hashed(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def _add_manifest(archive: tarfile.TarFile, local: Path, digests: Mapping[str, str]) -> None:
    """Add what says that the backup is whole; it comes last."""
    manifest = {
        "format": FORMAT,
        "folder": str(local),
        "uri": local.as_uri(),
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "files": digests,
    }
    content = json.dumps(manifest, indent=1).encode()
    info = tarfile.TarInfo(MANIFEST)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn every way in which a file is no backup into one sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadBackup(f"There is no file {file}: {KEPT}.") from error
    except (
        tarfile.TarError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        IsADirectoryError,
    ) as error:
        raise BadBackup(
            f"{file} is no whole backup of a registry ({error}): {KEPT}. Take another copy of it."
        ) from error


def _unpack(file: Path, folder: Path) -> Mapping[str, Any]:
    """Write what a backup holds into a new folder, compare the digests, return the manifest."""
    folder.mkdir()
    with tarfile.open(file, "r:") as archive:
        members = archive.getmembers()
        store_errors.require_space({folder: sum(member.size for member in members)})
        digests = {
            member.name: _extract(archive, member, folder)
            for member in track(members, "files", total=len(members), transient=True)
        }
    digests.pop(MANIFEST, None)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise ValueError("it ends too early")
    values: Mapping[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    if values["format"] != FORMAT:
        raise ValueError(f"its format is {values['format']}, not {FORMAT}")
    if values["files"] != digests or database.NAME not in digests:
        raise ValueError("a file in it is damaged or missing")
    return {key: str(values[key]) for key in ("folder", "uri")}


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Write a member's file and return its SHA-256."""
    parts = PurePosixPath(member.name).parts
    known = member.name in (database.NAME, MANIFEST) or parts[:1] == (ARTIFACTS,)
    content = archive.extractfile(member) if member.isfile() else None
    if content is None or not known or ".." in parts:
        raise ValueError(f"it holds {member.name[:80]!r}, which no backup does")
    if member.name == MANIFEST and member.size > LARGEST_MANIFEST:
        raise ValueError(f"its {MANIFEST} is too large")
    target, digest = folder / member.name, hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as written:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()


def _adapt(file: Path, manifest: Mapping[str, Any], local: Path) -> None:
    """Write the new places of files into a database: MLflow stores them with their whole path."""
    moves = {manifest["uri"] + "/": local.as_uri() + "/", manifest["folder"] + "/": f"{local}/"}
    with closing(sqlite3.connect(file)) as connection, connection:
        for table, column in _text_columns(connection):
            for old, new in moves.items():
                place = f'"{table}" SET "{column}" = ? || substr("{column}", ?)'
                connection.execute(
                    f'UPDATE {place} WHERE substr("{column}", 1, ?) = ?',
                    (new, len(old) + 1, len(old), old),
                )


def _text_columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [
        (table, column)
        for (table,) in tables
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")')
        if kind.upper().startswith(("VARCHAR", "TEXT"))
    ]


def _require_unused(local: Path) -> None:
    """Raise if another process has the database open."""
    file = local / database.NAME
    if users := database.users(file):
        raise Unreachable(
            f"The registry in {local} is used by {' and '.join(users)}: end that first; {KEPT}."
        )


def _exchange(local: Path, new: Path) -> Path | None:
    """Put the new store in the place of the old one; return where the old one is now.

    The database comes last: without it there is no store, so that nobody uses half of one.
    """
    there = [
        path for path in (*local.glob(f"{database.NAME}*"), local / ARTIFACTS) if path.exists()
    ]
    old = local / f"{REPLACED}-{datetime.now():%Y%m%d-%H%M%S}"
    for path in there:
        old.mkdir(exist_ok=True)
        path.replace(old / path.name)
    (new / ARTIFACTS).mkdir(exist_ok=True)
    (new / ARTIFACTS).replace(local / ARTIFACTS)
    (new / database.NAME).replace(local / database.NAME)
    return old if there else None
