"""Why the store of runs and versions fails, as one sentence with the true cause and what to do."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from registry.errors import Unreachable, app_command, first_line

FULL_CODES = (errno.ENOSPC, errno.EDQUOT)
DENIED_CODES = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL_TEXTS = ("database or disk is full",)
DENIED_TEXTS = ("attempt to write a readonly database", "unable to open database file")
LOCKED_TEXTS = ("database is locked",)
DAMAGED_TEXTS = ("file is not a database", "disk image is malformed", "no such table")
"""SQLite's errors for a file that is no database, or lacks MLflow's tables."""


def is_disk_failure(error: BaseException) -> bool:
    """Return whether an error comes from a full disk or from missing permission to write."""
    return _find(error, FULL_TEXTS, FULL_CODES) is not None or (
        _find(error, DENIED_TEXTS, DENIED_CODES) is not None
    )


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
    error: BaseException, *, folder: Path | None, uri: str, outcome: str = ""
) -> Unreachable:
    """Return the sentence for a failure of the store.

    Args:
        error: what MLflow, SQLite or the operating system raised.
        folder: the local store; None for a server.
        uri: MLflow's tracking URI.
        outcome: what the failure means for what was being done, such as "nothing was registered".
    """
    end = f"; {outcome}." if outcome else "."
    place = folder or "the temporary folder"
    if cause := _find(error, FULL_TEXTS, FULL_CODES):
        where = getattr(cause, "filename", None) or place
        return Unreachable(
            f"No space left on device ({where}): free space and run the same command again{end}"
        )
    if cause := _find(error, DENIED_TEXTS, DENIED_CODES):
        where, reason = getattr(cause, "filename", None) or place, _reason(cause)
        return Unreachable(
            f"{where} can't be opened or written ({reason}): allow it, or set "
            f"EXPRESSION_STUDIO_STORE to a folder that you may write to{end}"
        )
    if folder is None:
        return no_server(uri, f" ({first_line(error)})")
    return Unreachable(f"The registry in {folder} {_database_problem(error)}{end}")


def no_server(uri: str, reason: str = "") -> Unreachable:
    """Return the sentence for a server that does not answer; `reason` stands in brackets."""
    return Unreachable(
        f"The MLflow server {uri} does not answer{reason}: start it, or unset "
        "MLFLOW_TRACKING_URI to use the local folder mlruns/."
    )


def _database_problem(error: BaseException) -> str:
    if cause := _find(error, LOCKED_TEXTS):
        return (
            f"is being written by another program ({first_line(cause)}): run the same command "
            "again when that is done"
        )
    if cause := _find(error, DAMAGED_TEXTS):
        return (
            f"can't be read ({first_line(cause)}): move the folder aside and run "
            f"`{app_command()} seed` for a fresh one"
        )
    return f"gives no answer ({first_line(error)}): mend that and run the same command again"


def _find(
    error: BaseException, texts: tuple[str, ...], codes: tuple[int, ...] = ()
) -> BaseException | None:
    """Return the error, or the first of its causes, that has one of the texts or error numbers.

    Some libraries (shutil, safetensors) pass the number on only as a part of their text.
    """
    numbers = [form.format(code) for code in codes for form in ("[errno {}]", "os error {})")]
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, OSError) and cause.errno in codes:
            return cause
        text = str(cause).lower()
        if any(part in text for part in (*texts, *numbers)):
            return cause
    return None


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
