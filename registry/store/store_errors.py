"""Why the store of runs and versions fails, as one sentence with the true cause and what to do."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from registry.addresses import is_web
from registry.errors import Unreachable, app_command, first_line
from registry.store import database, server_errors
from registry.store.database import Schema

FULL_CODES = (errno.ENOSPC, errno.EDQUOT)
DENIED_CODES = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL_SQLITE = (sqlite3.SQLITE_FULL,)
DENIED_SQLITE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
LOCKED_SQLITE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED_SQLITE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
MISSING_TABLE = "no such table"
"""SQLite's words for it, which has no code of its own."""
PRIMARY_CODE = 0xFF
"""The part of SQLite's codes that names the kind of error."""
LEAST_FREE_BYTES = 1_000_000


def is_disk_failure(error: BaseException) -> bool:
    """Return whether an error comes from a full disk or from missing permission to write."""
    return _find_full(error) is not None or _find_denied(error) is not None


def require_space(needed_bytes: Mapping[Path, int]) -> None:
    """Check that folders can take the files that will be written; on one disk the needs add up.

    To be called before torch writes an archive: on a full disk torch ends the whole process.

    Raises:
        OSError: with ENOSPC, a disk has less space.
    """
    total: dict[int, int] = {}
    for folder, needed in needed_bytes.items():
        disk = folder.stat().st_dev
        total[disk] = total.get(disk, 0) + needed
        if shutil.disk_usage(folder).free < total[disk]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def to_unreachable(
    error: BaseException, *, folder: Path | None, uri: str, outcome: str = "", model: str = ""
) -> Unreachable:
    """Return the sentence for a failure of the store.

    Args:
        error: what MLflow, SQLite or the operating system raised.
        folder: the local store; None for a server or another database.
        uri: MLflow's tracking URI.
        outcome: what the failure means for what was being done, such as "nothing was registered".
        model: the registered model that was used; empty where none was.
    """
    end = f"; {outcome}." if outcome else "."
    place = folder or "the temporary folder"
    if cause := _find_full(error, folder):
        where = getattr(cause, "filename", None) or place
        return Unreachable(
            f"No space left on device ({where}): free space and run the same command again{end}"
        )
    if folder is not None and not database.is_there(folder / database.NAME):
        return Unreachable(f"{_vanished(folder)}{end}")
    if cause := _find_denied(error):
        where, reason = getattr(cause, "filename", None) or place, _reason(cause)
        return Unreachable(f"{where} can't be opened or written ({reason}): {_allow(folder)}{end}")
    if folder is None and is_web(uri):
        return Unreachable(f"{server_errors.sentence(list(_causes(error)), uri, model)}{end}")
    name = f"The registry in {folder}" if folder else f"The database {uri}"
    return Unreachable(f"{name} {_database_problem(error, folder)}{end}")


def absent(folder: Path) -> Unreachable:
    """Return the sentence for a database that was there and is gone."""
    return Unreachable(f"{_vanished(folder)}.")


def damaged(folder: Path, reason: str) -> Unreachable:
    """Return the sentence for a database that can't be used any more."""
    return Unreachable(f"The registry in {folder} {_damage(folder, reason)}.")


def other_schema(folder: Path) -> Unreachable | None:
    """Return the sentence for a database that MLflow can't work with; None where it can.

    Raises:
        sqlite3.Error: it can't be read.
    """
    problem = _schema_problem(folder)
    return Unreachable(f"The registry in {folder} {problem}.") if problem else None


def _database_problem(error: BaseException, folder: Path | None) -> str:
    if cause := _find_sqlite(error, LOCKED_SQLITE):
        return _locked(folder, first_line(cause))
    if cause := _find_sqlite(error, DAMAGED_SQLITE) or _find_text(error, MISSING_TABLE):
        return _damage(folder, first_line(cause))
    if cause := _find_sqlite(error, (sqlite3.SQLITE_IOERR,)):
        return (
            f"can't be read or written ({first_line(cause)}): the disk reports an error; check it, "
            "and run the same command again"
        )
    reason = first_line(error)
    return (folder and _readable_schema_problem(folder)) or (
        f"gives no answer ({reason}): mend that and run the same command again"
    )


def _locked(folder: Path | None, reason: str) -> str:
    users = database.users(folder / database.NAME) if folder else []
    by = " and ".join(users) or "another program"
    return f"is being written by {by} ({reason}): wait, and run the same command again"


def _damage(folder: Path | None, reason: str) -> str:
    if folder is None:
        return f"is damaged ({reason}): put a copy of it back"
    return (
        f"is damaged ({reason}): put a copy of {folder / database.NAME} back, or what "
        "`sqlite3 mlflow.db .recover` can read; only if nothing can be saved, move the folder "
        f"aside, keep it, and run `{app_command()} seed`"
    )


def _readable_schema_problem(folder: Path) -> str | None:
    try:
        return _schema_problem(folder)
    except sqlite3.Error:
        return None


def _schema_problem(folder: Path) -> str | None:
    match database.schema(folder / database.NAME):
        case Schema.OLDER:
            return (
                "was written by an older MLflow: run `python -m registry upgrade`, which copies "
                "it first; nothing is lost"
            )
        case Schema.NEWER:
            return (
                "was written by a newer MLflow than the one installed: install that one again "
                "(`pip install -r requirements.txt` of the newer checkout), or use that checkout"
            )
        case Schema.INCOMPLETE:
            return _damage(folder, "tables are missing")
    return None


def _vanished(folder: Path) -> str:
    return (
        f"{folder / database.NAME} is gone: if it lies on a drive or a share, connect that again; "
        "if it was moved, move it back; nothing was created in its place"
    )


def _allow(folder: Path | None) -> str:
    """Return what to do where writing is denied: another folder only if none is in use."""
    if folder is not None and database.is_there(folder / database.NAME):
        return f"give this user the permission to write to {folder} and to all that is in it"
    return "allow it, or set EXPRESSION_STUDIO_STORE to a folder that you may write to"


def _find_full(error: BaseException, folder: Path | None = None) -> BaseException | None:
    """Return what says that a disk is full; SQLite may report only that it could not write."""
    found = _find_sqlite(error, FULL_SQLITE) or _find_system(error, FULL_CODES)
    failed = _find_sqlite(error, (sqlite3.SQLITE_IOERR,))
    if found or failed is None or folder is None:
        return found
    return failed if shutil.disk_usage(folder).free < LEAST_FREE_BYTES else None


def _find_denied(error: BaseException) -> BaseException | None:
    return _find_sqlite(error, DENIED_SQLITE) or _find_system(error, DENIED_CODES)


def _find_sqlite(error: BaseException, codes: tuple[int, ...]) -> BaseException | None:
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", None)  # only where SQLite raised it
            if code is not None and code & PRIMARY_CODE in codes:
                return cause
    return None


def _find_system(error: BaseException, codes: tuple[int, ...]) -> BaseException | None:
    """Return the first cause with an error number; shutil and safetensors keep only its text."""
    texts = [form.format(code) for code in codes for form in ("[errno {}]", "os error {})")]
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, OSError) and cause.errno in codes:
            return cause
        if any(text in str(cause).lower() for text in texts):
            return cause
    return None


def _find_text(error: BaseException, text: str) -> BaseException | None:
    return next((cause for cause in _causes(error) if text in str(cause).lower()), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it, the last one first."""
    cause: BaseException | None = error
    passed: set[int] = set()
    while cause is not None and id(cause) not in passed:
        passed.add(id(cause))
        yield cause
        before = None if cause.__suppress_context__ else cause.__context__
        cause = cause.__cause__ or before


def _reason(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or first_line(error)
