"""A version compared with the one in production, by the outcomes of both on the same data."""

import logging
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from registry import outcomes, store, versions
from registry.entries import Version
from registry.errors import first_line
from registry.metrics.estimates import Difference, Quantity
from registry.outcomes import Outcomes, Source
from registry.promotion import side_by_side
from registry.promotion.gates import Gates

Verdict = Literal["passed", "failed", "missing", "not compared"]
"""`missing`: it could be measured on this machine, and wasn't; this refuses a version as `failed`
does. `not compared`: its data isn't on this machine."""
TRAIN = "train"
"""The split on which nothing is compared: networks learned from it."""
INDEX = "index.parquet"
"""The file by which a folder is known as a prepared set."""
PROGRAM = "python -m training evaluate"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric of two versions, and whether the candidate passes by it."""

    set: str = ""
    split: str = ""
    metric: str = ""
    group: str = ""
    candidate: float | None = None
    champion: float | None = None
    """The value of the version in production."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval of candidate - champion; None where there are no outcomes."""
    margin: float | None = None
    most_times: float | None = None
    greater_is_better: bool = True
    is_primary: bool = False
    verdict: Verdict
    note: str = ""
    """Why it is missing or not compared."""

    @property
    def name(self) -> str:
        """What was measured, such as `test/toy/triplet_accuracy/one class`."""
        parts = (self.split, self.set, self.metric, self.group)
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation that is missing and can be made on this machine."""

    version: Version
    source: Source

    @property
    def arguments(self) -> list[str]:
        """The arguments of `python -m training evaluate`."""
        reference = f"{self.version.name}/{self.version.number}"
        split = [] if self.source.split == "test" else ["--split", self.source.split]
        return [reference, self.source.folder, *split]

    @property
    def command(self) -> str:
        """The command, as one types it."""
        return f"{PROGRAM} {shlex.join(self.arguments)}"


def compare(
    candidate: Version, champion: Version, gates: Gates
) -> tuple[list[Row], list[Evaluation]]:
    """Return a row for each metric, and the evaluations that are missing.

    Raises:
        Unreachable: the store does not answer.
    """
    both = [_tables(version) for version in (candidate, champion)]
    rows: list[Row] = []
    missing: list[Evaluation] = []
    for name in sorted({*both[0], *both[1]}):
        one, other = both[0].get(name), both[1].get(name)
        if one is not None and other is not None:
            found, lacking = _compared(candidate, champion, one, other, gates)
        else:
            present = one or other
            assert present is not None
            version = candidate if one is None else champion
            note = f"{version.title} was not measured on it"
            found, lacking = _missing(present.source, note, version)
        rows += found
        missing += lacking
    return [*rows, *_side_by_side(candidate, champion, gates)], missing


def _tables(version: Version) -> dict[str, Outcomes]:
    """Return what was measured of a version in this registry, on splits that nothing learns."""
    sources = ((each.source, each) for each in outcomes.read(version))
    return {s.name: each for s, each in sources if s.split != TRAIN and not s.imported}


def _missing(
    source: Source, note: str, *versions_to_measure: Version, quantity: Quantity | None = None
) -> tuple[list[Row], list[Evaluation]]:
    """Return the row for what can't be compared, and the evaluations that would mend it."""
    folder = _folder(source)
    row = Row(
        set=source.set,
        split=source.split,
        metric=quantity.metric if quantity else "",
        group=quantity.group if quantity else "",
        verdict="missing" if folder else "not compared",
        note=note if folder else f"{note}, and it isn't on this machine",
    )
    if folder is None:
        return [row], []
    here = replace(source, folder=str(folder))
    return [row], [Evaluation(version=each, source=here) for each in versions_to_measure]


def _folder(source: Source) -> Path | None:
    """Return the prepared set's folder, if it is on this machine."""
    named = Path(source.folder)
    for folder in (named, store.PROJECT / named):
        if (folder / INDEX).is_file():
            return folder
    return None


def _compared(
    candidate: Version, champion: Version, one: Outcomes, other: Outcomes, gates: Gates
) -> tuple[list[Row], list[Evaluation]]:
    """Return the rows for a split that both versions were measured on, and what is missing."""
    from registry.metrics import paired

    source, both = other.source, (candidate, champion)
    if one.source.measured_by != source.measured_by:
        note = "the transfers were measured by two different encoders"
        row = Row(set=source.set, split=source.split, verdict="not compared", note=note)
        return [row], []
    if one.source.digest != source.digest:
        return _missing(source, "the data of the two evaluations differ", *both)
    try:
        found = paired.differences(one.items, other.items)
    except paired.OtherItemsError:
        return _missing(source, "not the same items were measured", *both)
    primary = next((metric for metric in gates.primary if Quantity(metric) in found), None)
    rows: list[Row | None] = [
        _row(source, quantity, difference, gates, quantity == (primary, ""))
        for quantity, difference in found.items()
    ]
    rows += _without_outcomes(candidate, champion, source, gates, set(found))
    lacking: list[Evaluation] = []
    if unmeasured := _unmeasured(candidate, champion, source, gates, set(found)):
        note = f"{candidate.title} was not measured by it"
        lost, lacking = _missing(source, note, candidate, quantity=unmeasured)
        rows += lost
    return [row for row in rows if row is not None], lacking


def _row(
    source: Source,
    quantity: Quantity,
    found: Difference,
    gates: Gates,
    is_primary: bool = False,
) -> Row | None:
    """Return the row of a metric; None where the table of gates doesn't ask for it."""
    gate = gates.metrics.get(quantity.metric)
    margin = gate.margin_of(quantity.group) if gate else None
    if gate is None or margin is None:
        return None
    low, high = found.interval or (None, None)
    sign = 1 if gate.greater_is_better else -1
    decisive = sign * (found.candidate - found.other)
    if is_primary and found.interval:
        decisive = min(sign * found.interval.low, sign * found.interval.high)
    return Row(
        set=source.set,
        split=source.split,
        metric=quantity.metric,
        group=quantity.group,
        candidate=found.candidate,
        champion=found.other,
        low=low,
        high=high,
        margin=margin,
        greater_is_better=gate.greater_is_better,
        is_primary=is_primary,
        verdict="passed" if decisive >= -margin else "failed",
    )


def _without_outcomes(
    candidate: Version, champion: Version, source: Source, gates: Gates, known: set[Quantity]
) -> Iterator[Row | None]:
    """Yield rows of what has no outcomes of items, such as robustness, from the measurements."""
    both = [_values(version, source) for version in (candidate, champion)]
    for quantity in sorted({*both[0]} & {*both[1]} - known):
        yield _row(source, quantity, Difference(both[0][quantity], both[1][quantity], None), gates)


def _unmeasured(
    candidate: Version, champion: Version, source: Source, gates: Gates, known: set[Quantity]
) -> Quantity | None:
    """Return something that the gates ask for and that only the champion was measured by.

    A metric of the outcomes is never that: a group that is missing there, such as an emotion that
    the candidate doesn't know, can't be measured.
    """
    of_outcomes = {quantity.metric for quantity in known}
    for quantity in sorted({*_values(champion, source)} - {*_values(candidate, source)}):
        gate = gates.metrics.get(quantity.metric)
        is_asked_for = gate is not None and gate.margin_of(quantity.group) is not None
        if is_asked_for and quantity.metric not in of_outcomes:
            return quantity
    return None


def _values(version: Version, source: Source) -> dict[Quantity, float]:
    """Return what was measured of a version on a split by the usual protocol."""
    return {
        Quantity(row.metric, row.group): row.value
        for row in versions.measurements(version)
        if (row.set, row.split, row.protocol) == (source.set, source.split, "")
    }


def _side_by_side(candidate: Version, champion: Version, gates: Gates) -> Iterator[Row]:
    """Yield the rows for time and size, and one if the candidate can't answer at all."""
    if fault := side_by_side.fault(candidate):
        yield Row(metric="answers", verdict="failed", note=fault)
        return
    for metric, measure in (
        ("latency_ms", side_by_side.latencies_ms),
        ("size_mb", side_by_side.sizes_mb),
    ):
        gate = gates.metrics.get(metric)
        if gate is None or gate.most_times is None:
            continue
        try:
            one, other = measure(candidate, champion)
        except Exception as error:  # the version in production may be broken
            logger.info("%s of %s is not measured.", metric, champion.title, exc_info=error)
            yield Row(metric=metric, verdict="not compared", note=first_line(error))
            continue
        yield Row(
            metric=metric,
            candidate=one,
            champion=other,
            most_times=gate.most_times,
            greater_is_better=False,
            verdict="passed" if one <= gate.most_times * other else "failed",
        )
