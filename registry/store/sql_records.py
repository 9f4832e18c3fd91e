"""The tables of MLflow's SQLite database that say which versions there are; read, never written."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.store.record_types import Entry, Run

SCHEMA = "dc11669786a5"
"""The revision of the tables of MLflow 3.17.2, for which the SQL here is written."""
LARGEST_NUMBER = 2**63 - 1
"""Largest integer that SQLite can compare."""
_OF_WORKSPACE = "workspace = 'default'"
_VERSIONS = f"""
    SELECT name, version, run_id, status, description, creation_time, source FROM model_versions
    WHERE {_OF_WORKSPACE} AND current_stage != 'Deleted_Internal'
    AND name IN (SELECT name FROM registered_models WHERE {_OF_WORKSPACE})
"""  # noqa: S608


def can_read(database: Path) -> bool:
    """Return whether a database is there and has the tables of SCHEMA; only MLflow knows others."""
    try:
        with _opened(database) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return False
    return found == [(SCHEMA,)]


class SqlRecords:
    """Reads the tables of a database that `can_read` accepts.

    Args:
        database: The file.

    All methods raise sqlite3.Error where the file can't be read.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def aliases(self, name: str) -> Mapping[str, int] | None:
        """Return the version of each alias of a model; None where there is no such model."""
        of_name = f"WHERE {_OF_WORKSPACE} AND name = ?"
        if not self._rows(f"SELECT name FROM registered_models {of_name}", name):  # noqa: S608
            return None
        select = f"SELECT alias, version FROM registered_model_aliases {of_name}"  # noqa: S608
        return {str(alias): int(number) for alias, number in self._rows(select, name)}

    def model_tags(self, name: str) -> Mapping[str, str]:
        """Return the tags of a model; none where there is no such model."""
        select = "SELECT key, value FROM registered_model_tags"
        return dict(self._rows(f"{select} WHERE {_OF_WORKSPACE} AND name = ?", name))

    def entry(self, name: str, number: int) -> Entry | None:
        """Return a version; None where there is no such version."""
        if number > LARGEST_NUMBER:
            return None
        rows = self._rows(f"{_VERSIONS} AND name = ? AND version = ?", name, number)
        return self._entry(rows[0]) if rows else None

    def entries(self, name: str | None) -> list[Entry]:
        """Return the versions of a model, or of all, by name and newest first."""
        only, order = (" AND name = ?" if name else ""), "ORDER BY name, version DESC"
        rows = self._rows(f"{_VERSIONS}{only} {order}", *([name] if name else []))
        return [self._entry(row) for row in rows]

    def location(self, name: str, number: int) -> str:
        """Return the address of the folder with a version's files."""
        select = "SELECT storage_location, source FROM model_versions"
        where = f"WHERE {_OF_WORKSPACE} AND name = ? AND version = ?"
        ((stored, source),) = self._rows(f"{select} {where}", name, number)
        return str(stored or source)

    def run(self, run_id: str) -> Run | None:
        """Return a run; None where there is no such run."""
        rows = self._rows("SELECT artifact_uri FROM runs WHERE run_uuid = ?", run_id)
        tags = self._rows("SELECT key, value FROM tags WHERE run_uuid = ?", run_id)
        return Run(artifacts=rows[0][0], tags=dict(tags)) if rows else None

    def _entry(self, row: Sequence[Any]) -> Entry:
        name, number, run_id, status, description, created_ms, source = row
        of_version = f"WHERE {_OF_WORKSPACE} AND name = ? AND version = ?"
        tags = f"SELECT key, value FROM model_version_tags {of_version}"  # noqa: S608
        aliases = f"SELECT alias FROM registered_model_aliases {of_version}"  # noqa: S608
        return Entry(
            name=name,
            number=number,
            run_id=run_id or "",
            status=status,
            description=description or "",
            created_ms=created_ms,
            tags=dict(self._rows(tags, name, number)),
            aliases=[alias for (alias,) in self._rows(aliases, name, number)],
            source=source or "",
        )

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with _opened(self._database) as connection:
            return connection.execute(query, values).fetchall()


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database to read; one that isn't there is not made."""
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()
