"""Rows of the benchmarks: what was measured beside what, and whether the target was met."""

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.progress import track

HEAD = "| what | measured | beside | ratio | target | |\n|---|---|---|---|---|---|"

PAUSE_SECONDS = 0.1
"""ONNX Runtime lets its threads spin for about 50 ms after a call."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measured value, and what it was measured beside in the same run.

    Args:
        what: what was measured.
        value: how much, in `unit`.
        unit: ms, s, faces/s, MB and the like.
        beside: what it was measured beside; empty: nothing.
        beside_value: how much that took, in `unit`.
        target: the limit of the ratio, or of the value where there is nothing beside; None: none.
        at_least: the limit is a lowest one.
    """

    what: str
    value: float
    unit: str
    beside: str = ""
    beside_value: float | None = None
    target: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """The value divided by that of what it was measured beside."""
        return self.value / self.beside_value if self.beside_value else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        if self.target is None:
            return None
        reached = self.value if self.ratio is None else self.ratio
        return reached >= self.target if self.at_least else reached <= self.target

    def line(self) -> str:
        """Return the row as a line of a Markdown table."""
        beside = f"{self.beside}: {_number(self.beside_value)}" if self.beside_value else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        limit = "at least" if self.at_least else "at most"
        target = "" if self.target is None else f"{limit} {self.target:g}"
        met = {None: "", True: "met", False: "missed"}[self.is_met]
        cells = (self.what, f"{_number(self.value)} {self.unit}", beside, ratio, target, met)
        return "| " + " | ".join(cells) + " |"


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def read(path: Path) -> list[Row]:
    """Read rows that `write` wrote."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def table(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table."""
    return "\n".join([HEAD, *(row.line() for row in rows)])


def in_turn(
    calls: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] | None = None
) -> list[float]:
    """Return the median seconds of each call; they are made one after the other, in rounds.

    Before it is measured each waits a moment and is called once more: threads of the one before may
    still spin, and would take their cores from it.

    Args:
        calls: what to measure.
        rounds: how often each is measured.
        clock: returns seconds; the wall clock by default.
    """
    clock = clock or time.perf_counter
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in track(range(rounds), transient=True):
        for call, its in zip(calls, seconds, strict=True):
            time.sleep(PAUSE_SECONDS)
            call()
            started = clock()
            call()
            its.append(clock() - started)
    return [median(its) for its in seconds]


def use_cores(count: int) -> None:
    """Let this process compute on so many cores alone (Linux)."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
