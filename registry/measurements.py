"""What was measured of a network: one table, whoever measured it and whoever reads it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = ("split", "set", "metric", "group", "value", "low", "high", "protocol")


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
        return "/".join(part for part in parts if part).replace(": ", ":")

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from all others; measuring again replaces the row with the same key."""
        return self.split, self.set, self.protocol, self.metric, self.group


def merged(old: Iterable[Measurement], new: Iterable[Measurement]) -> list[Measurement]:
    """Return all rows, sorted by key; where both have one, the new row counts."""
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
