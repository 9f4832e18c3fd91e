"""What the gates say of a version: whether it passed, why, and the table behind it."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import store
from registry.entries import Version
from registry.promotion.comparison import PROGRAM, Evaluation, Row
from registry.temporary import TemporaryFolder

if TYPE_CHECKING:
    from rich.table import Table

FOLDER = "promotion"
"""The folder of a version's run with the tables and pictures."""
COLUMNS = (
    *("measured", "candidate", "champion", "low", "high", "margin", "most_times"),
    *("is_primary", "verdict", "note"),
)
SHOWN_AS = "mlflow.loggedArtifacts"
"""The tag that lists the artifacts which MLflow's UI shows as tables."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the gates say of a version."""

    candidate: Version
    champion: Version | None
    """The version it is compared with; None where there is none."""
    rows: Sequence[Row] = ()
    missing: Sequence[Evaluation] = ()
    """Evaluations that can be made on this machine and decide."""
    measured: bool = True
    """Whether anything was measured of the candidate; asked where nothing is in production."""
    is_current: bool = False
    """Whether the candidate is in production already, and validated: nothing was compared."""
    promoted: Version | None = None
    """The version that is in production now; None where nothing was promoted."""
    fault: str = ""
    """Why it could not be compared; empty where it was."""

    @property
    def refusals(self) -> list[Row]:
        """The rows by which the candidate is refused, the deciding ones first."""
        found = [row for row in self.rows if row.verdict in ("failed", "missing")]
        return sorted(found, key=lambda row: (not row.is_primary, row.verdict == "missing"))

    @property
    def decided(self) -> list[Row]:
        """The rows of primary metrics."""
        return [row for row in self.rows if row.is_primary]

    @property
    def passed(self) -> bool:
        """Whether the candidate may take the place of the version in production."""
        if self.fault:
            return False
        if self.is_current:
            return True
        if self.champion is None:
            return self.measured
        return bool(self.decided) and not self.refusals

    @property
    def sentence(self) -> str:
        """Why it passed or was refused."""
        if self.fault:
            return f"{self.candidate.title} was not compared: {self.fault}"
        if self.is_current:
            return f"{self.candidate.title} is in production already, and validated."
        if self.champion is None:
            return self._alone()
        against = f"compared with version {self.champion.number}"
        if self.passed:
            deciding = "; ".join(map(_in_words, self.decided))
            return f"{self.candidate.title} passed, {against}: {deciding}."
        if not self.refusals:
            return (
                f"{self.candidate.title} was refused, {against}: nothing that decides was measured "
                f"of both on the same data. Measure both on one prepared set: `{PROGRAM} "
                f"{self._reference} FOLDER` and the same for {self.champion.name}/"
                f"{self.champion.number}."
            )
        first, count = self.refusals[0], len(self.refusals) - 1
        rest = f", and by {count} more" if count else ""
        return f"{self.candidate.title} was refused, {against}, by {_in_words(first)}{rest}."

    @property
    def _reference(self) -> str:
        return f"{self.candidate.name}/{self.candidate.number}"

    @property
    def _title(self) -> str:
        assert self.champion is not None
        return f"{self.candidate.title} against version {self.champion.number}"

    def _alone(self) -> str:
        nothing = f"no version of {self.candidate.name} is there to compare it with"
        if self.measured:
            return f"{self.candidate.title} passed: it was measured, and {nothing}."
        return (
            f"{self.candidate.title} was refused: {nothing}, and nothing was measured of it: "
            f"`{PROGRAM} {self._reference} FOLDER`."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "model": self.candidate.model,
            "candidate": self.candidate.number,
            "champion": self.champion.number if self.champion else None,
            "passed": self.passed,
            "reason": self.sentence,
            "missing": [evaluation.command for evaluation in self.missing],
            "rows": [
                {key: _cell(value) for key, value in asdict(row).items()} for row in self.rows
            ],
        }

    def table(self) -> "Table":
        """Return the rows as a table for a terminal of 80 columns, a part for each data set."""
        from rich.box import SIMPLE
        from rich.table import Column, Table

        assert self.champion is not None
        table = Table(
            Column("", overflow="fold"),
            Column(f"{self.candidate.number}", justify="right", no_wrap=True),
            Column(f"{self.champion.number}", justify="right", no_wrap=True),
            Column("Difference", overflow="fold"),
            Column("Limit", no_wrap=True),
            Column("", no_wrap=True),
            title=self._title,
            title_style="bold",
            box=SIMPLE,
            padding=0,
            show_edge=False,
        )
        for place, rows in groupby(self.rows, key=_place):
            table.add_section()
            table.add_row(place)
            for row in rows:
                table.add_row(*_cells(row))
        return table

    def log(self) -> None:
        """Store table and picture with the candidate's run; nothing where nothing was compared.

        Raises:
            Deleted: the version's run was deleted.
            Unreachable: the store does not answer.
        """
        if self.champion is None or not self.rows:
            return
        from registry.promotion.picture import draw

        client, run_id = store.connect(), self.candidate.run_id
        kind = "candidate" if self.candidate.is_candidate else "version"
        stem = f"{FOLDER}/{kind}-{self.candidate.number}-against-{self.champion.number}"
        data = [[_cell(_table_values(row)[column]) for column in COLUMNS] for row in self.rows]
        with (
            store.writing(f"The comparison of {self.candidate.title}", run_id),
            TemporaryFolder() as folder,
        ):
            client.log_dict(run_id, {"columns": COLUMNS, "data": data}, f"{stem}.json")
            picture = draw(self.rows, self._title, folder / f"{Path(stem).name}.png")
            client.log_artifact(run_id, str(picture), FOLDER)
            tables = json.loads(client.get_run(run_id).data.tags.get(SHOWN_AS, "[]"))
            tables = [table for table in tables if table["path"] != f"{stem}.json"]
            tables.append({"path": f"{stem}.json", "type": "table"})
            client.set_tag(run_id, SHOWN_AS, json.dumps(tables))


def _cell(value: Any) -> Any:
    """Return a value for JSON, which lacks NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table_values(row: Row) -> dict[str, Any]:
    return asdict(row) | {"measured": row.name}


def _place(row: Row) -> str:
    return f"{row.set}, {row.split}" if row.set else "this machine"


def _cells(row: Row) -> tuple[str, ...]:
    if row.candidate is None or row.champion is None:
        return row.metric, "", "", row.note, "", row.verdict
    decides = " (decides)" if row.is_primary else ""
    return (
        f" {_metric(row)}{decides}",
        f"{row.candidate:.3g}",
        f"{row.champion:.3g}",
        _difference(row),
        _limit(row),
        row.verdict,
    )


def _metric(row: Row) -> str:
    """Return metric and group in words: `recall, happy`."""
    group = row.group.rpartition(": ")[2]
    return ", ".join(part for part in (row.metric.replace("_", " "), group) if part)


def _limit(row: Row) -> str:
    """Return what is still allowed: the worst difference, or the largest ratio."""
    if row.most_times is not None:
        return f"{row.most_times:g} times"
    assert row.margin is not None
    return f"{-row.margin:+g}" if row.greater_is_better else f"{row.margin:+g}"


def _difference(row: Row) -> str:
    assert row.candidate is not None
    assert row.champion is not None
    if row.most_times is not None:
        return f"{row.candidate / row.champion:.2f} times"
    interval = "" if row.low is None else f" ({row.low:+.3f} to {row.high:+.3f})"
    return f"{row.candidate - row.champion:+.3f}{interval}"


def _in_words(row: Row) -> str:
    """Return what a row says, as part of a sentence."""
    if row.candidate is None or row.champion is None:
        return f"{_place(row)}: {row.note}"
    return (
        f"{_metric(row)} on {_place(row)} ({row.candidate:.3g} against {row.champion:.3g}, "
        f"difference {_difference(row)}, limit {_limit(row)})"
    )
