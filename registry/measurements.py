"""What was measured of a network: one table, stored with the run that a version comes from."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from filelock import FileLock

from registry import artifacts, store

COLUMNS = ("split", "set", "metric", "group", "value", "low", "high", "protocol")
COUNTS = ("faces", "triplets", "transfers")
"""Metrics that say how much was measured."""
FILE = "measurements.json"
"""The table's file among the artifacts of a run."""
NOT_IN_A_NAME = re.compile(r"[^\w.\- :/]")
"""Characters that MLflow doesn't allow in the name of a metric."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One number: a row of the table."""

    split: str
    """train, validation or test; empty for what needs no data, such as latency."""
    set: str
    """Name of the data set; empty where there is none."""
    metric: str
    """What was measured, such as `triplet_accuracy`; units are part of the name: `latency_ms`."""
    value: float
    group: str = ""
    """The part of the set that it holds for, such as `sex: female` or `one class`; empty: all."""
    low: float | None = None
    """Lower end of the 95 % interval; None where none was computed."""
    high: float | None = None
    """Upper end of the same interval."""
    protocol: str = ""
    """Which of several ways to measure, such as `majority`; empty: the usual one."""

    @property
    def name(self) -> str:
        """What MLflow calls the metric: the parts that aren't empty, joined by slashes."""
        parts = (self.split, self.set, self.protocol, self.metric, self.group)
        name = "/".join(part for part in parts if part).replace(": ", ":")
        return NOT_IN_A_NAME.sub("_", name)

    @property
    def is_subgroup(self) -> bool:
        """Whether it holds for faces of one attribute alone: its group is `ATTRIBUTE: VALUE`."""
        return ": " in self.group

    @property
    def is_main(self) -> bool:
        """Whether it holds for all faces by the usual protocol and is no count.

        Only these are MLflow's metrics as well, so that its lists stay short.
        """
        return not self.group and not self.protocol and self.metric not in COUNTS

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies a row; measuring again replaces the row with the same key."""
        return self.split, self.set, self.protocol, self.metric, self.group


def merged(old: Iterable[Measurement], new: Iterable[Measurement]) -> list[Measurement]:
    """Return all rows, sorted by key; a new row replaces the old one of its key."""
    rows = {row.key: row for row in (*old, *new)}
    return [rows[key] for key in sorted(rows)]


def to_rows(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Return the rows as JSON can hold them; columns that are empty are left out."""
    return [
        {column: value for column, value in asdict(row).items() if value not in ("", None)}
        for row in measurements
    ]


def from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Measurement]:
    """Return the measurements in rows that `to_rows` made.

    Raises:
        KeyError, TypeError: a row has no metric or value, or an unknown column.
    """
    return [Measurement(**{"split": "", "set": ""} | dict(row)) for row in rows]


def read(run_id: str) -> list[Measurement]:
    """Return the table of a run; empty where nothing was measured or the run was deleted.

    Raises:
        Unreachable: the store does not answer, or the table is there and can't be read.
    """
    table = artifacts.fetch_json(run_id, FILE)
    if table is None:
        return []
    try:
        return from_table(table)
    except (KeyError, TypeError, ValueError) as error:
        raise artifacts.unreadable(run_id, FILE, "it is no table of measurements") from error


def from_table(table: Mapping[str, Any]) -> list[Measurement]:
    """Return the measurements in a table that `to_table` made.

    Raises:
        KeyError, TypeError, ValueError: it is no such table.
    """
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    return from_rows({**row, "value": _or_nan(row["value"])} for row in rows)


def to_table(rows: Iterable[Measurement]) -> dict[str, Any]:
    """Return the measurements as pandas writes a table to JSON with `orient="split"`."""
    cells = [asdict(row) for row in rows]
    return {
        "columns": COLUMNS,
        "data": [[_or_none(row[column]) for column in COLUMNS] for row in cells],
    }


def write(run_id: str, measurements: Iterable[Measurement]) -> None:
    """Add measurements to the table of a run; those measured again replace the old ones.

    The file is a table for MLflow's UI, too: JSON as pandas writes it with `orient="split"`.
    Processes that write to a local store at once wait for each other.

    Raises:
        Deleted: the run was deleted.
        Unreachable: the store does not answer, or the table can't be read; nothing is written.
    """
    with lock():
        _write(run_id, measurements)


@contextmanager
def lock() -> Iterator[None]:
    """Let one process at a time change the tables and cards of a local store.

    Not to be entered twice by one thread.

    Raises:
        Unreachable: the store can't be written.
    """
    with ExitStack() as stack:
        if folder := store.folder():
            with store.answering():
                stack.enter_context(FileLock(folder / "measurements.lock"))
        yield


def _write(run_id: str, measurements: Iterable[Measurement]) -> None:
    table = to_table(merged(read(run_id), measurements))
    client = store.connect()
    with store.writing(f"The table of measurements of run {run_id}", run_id):
        client.log_dict(run_id, table, FILE)
        shown_as = json.dumps([{"path": FILE, "type": "table"}])
        client.set_tag(run_id, "mlflow.loggedArtifacts", shown_as)


def _or_none(cell: str | float | None) -> str | float | None:
    """Return a cell for JSON: NaN and infinity, which JSON lacks, become null."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
