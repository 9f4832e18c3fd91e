"""The local database of runs and versions: its address, its schema, and how it is made."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from filelock import FileLock

from registry.console import printable

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

NAME = "mlflow.db"
VERSION_TABLE = "alembic_version"


class Schema(Enum):
    """The tables of a database, compared with those that the installed MLflow works with."""

    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    INCOMPLETE = "incomplete"
    """Tables are missing; they were not made by MLflow, or are lost."""


def address(database: Path) -> str:
    """Return the URI of a database for MLflow, whatever characters its path holds.

    MLflow and SQLite never create the file there. The file's number (inode) is a part of the URI,
    so that MLflow opens a database again that was replaced, by a copy for example.
    """
    from sqlalchemy.engine import URL

    options = {"mode": "rw", "uri": "true"}
    with suppress(OSError):  # it isn't there, or this user may not look
        options["inode"] = str(database.stat().st_ino)
    url = URL.create("sqlite+pysqlite", database=database.as_uri(), query=options)
    return url.render_as_string()


def is_there(database: Path) -> bool:
    """Return whether a database exists; where this user may not look, it may."""
    try:
        return database.exists()
    except PermissionError:
        return True


def has_all_tables(database: Path) -> bool:
    """Return whether a database has every table that MLflow works with.

    Raises:
        sqlite3.Error: it can't be read.
    """
    import mlflow.store.model_registry.dbmodels.models
    import mlflow.store.tracking.dbmodels.models
    import mlflow.store.workspace.dbmodels.models  # noqa: F401  # they fill Base
    from mlflow.store.db.base_sql_model import Base

    return set(Base.metadata.tables) <= _tables(database)


def schema(database: Path) -> Schema:
    """Compare the schema of a database with that of the installed MLflow; takes half a second.

    Raises:
        sqlite3.Error: it can't be read.
    """
    from alembic.util import CommandError

    if VERSION_TABLE not in _tables(database):
        return Schema.INCOMPLETE
    found, scripts = revision(database), _scripts()
    if found == scripts.get_current_head():
        return Schema.CURRENT if has_all_tables(database) else Schema.INCOMPLETE
    try:
        scripts.get_revision(found)
    except CommandError:
        return Schema.NEWER
    return Schema.OLDER


def revision(database: Path) -> str:
    """Return the revision of a database's schema, as MLflow names it.

    Raises:
        sqlite3.Error: it can't be read, or has no revision.
    """
    with closing(_connect(database)) as connection:
        found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
    return str(found[0]) if found else ""


def create(folder: Path) -> None:
    """Create the database of a local store when there is none, which takes seconds.

    It is built under another name, so that no other process reads a half-written database.
    """
    database = folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if database.exists():
            return
        building = folder / f"{NAME}.building"
        for leftover in folder.glob(f"{NAME}.building*"):
            leftover.unlink()
        building.touch()
        _migrate(building, folder / "artifacts")
        building.replace(database)


def upgrade(folder: Path) -> Path | None:
    """Bring the database of a local store to the installed MLflow's schema, a copy first.

    Returns:
        The copy, as it was before; None where the schema is not older, so that nothing is done.

    Raises:
        sqlite3.Error, SQLAlchemyError, MlflowException, OSError: it fails; the database is then as
            it was before.
    """
    from mlflow.db import upgrade as mlflow_upgrade

    database = folder / NAME
    with FileLock(folder / ".lock"):
        if schema(database) is not Schema.OLDER:
            return None
        copy = folder / f"{NAME}.copy-{datetime.now():%Y%m%d-%H%M%S}"
        copy_to(database, copy)
        try:
            with _quiet("mlflow", "alembic"):
                mlflow_upgrade.callback(address(database))
        except BaseException:
            copy_to(copy, database)
            raise
    return copy


def users(database: Path) -> list[str]:
    """Return the other processes of this user that have a database open: number and command."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            if process.pid != os.getpid() and _has_open(process, database):
                words = " ".join(process.info["cmdline"] or [process.name()]).split()
                found.append(f"process {process.pid} ({printable(' '.join(words))[:80]})")
        except psutil.Error:
            continue
    return found


def _has_open(process: psutil.Process, database: Path) -> bool:
    return any(Path(file.path) == database for file in process.open_files())


def _connect(database: Path) -> sqlite3.Connection:
    """Open a database that exists."""
    return sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)


def _tables(database: Path) -> set[str]:
    with closing(_connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def _scripts() -> "ScriptDirectory":
    """Return the migrations of the installed MLflow."""
    from alembic.script import ScriptDirectory
    from mlflow.store import db_migrations

    return ScriptDirectory(next(iter(db_migrations.__path__)))


def copy_to(database: Path, copy: Path) -> None:
    """Write the present state of a database into another file, while others may use it.

    Raises:
        sqlite3.Error: a file can't be read or written.
    """
    with closing(_connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _migrate(database: Path, artifacts: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with closing(_connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        with _quiet("mlflow", "alembic"):
            SqlAlchemyStore(address(database), artifacts.as_uri()).engine.dispose()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
