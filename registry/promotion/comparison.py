"""A version compared with the one in production, by the outcomes of both on the same data."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry import outcomes, versions
from registry.entries import Version
from registry.errors import BadVersion
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
        return " ".join([PROGRAM, *self.arguments])


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
            rows += _compared(candidate, champion, one, other, gates)
            continue
        present = one or other
        assert present is not None
        row, lacking = _absent(candidate if one is None else champion, present.source)
        rows.append(row)
        missing += lacking
    return [*rows, *_side_by_side(candidate, champion, gates)], missing


def _tables(version: Version) -> dict[str, Outcomes]:
    """Return what was measured of a version in this registry, on splits that nothing learns."""
    sources = ((each.source, each) for each in outcomes.read(version))
    return {s.name: each for s, each in sources if s.split != TRAIN and not s.imported}


def _absent(version: Version, source: Source) -> tuple[Row, list[Evaluation]]:
    """Return the row for a split that one of both versions was not measured on."""
    if (Path(source.folder) / INDEX).is_file():
        note = f"{version.title} was not measured on it"
        row = Row(set=source.set, split=source.split, verdict="missing", note=note)
        return row, [Evaluation(version=version, source=source)]
    note = f"{version.title} was not measured on it, and it isn't on this machine"
    return Row(set=source.set, split=source.split, verdict="not compared", note=note), []


def _compared(
    candidate: Version, champion: Version, one: Outcomes, other: Outcomes, gates: Gates
) -> list[Row]:
    """Return the rows for a split that both versions were measured on."""
    from registry.metrics import paired

    source = one.source
    if note := _unlike(source, other.source):
        return [Row(set=source.set, split=source.split, verdict="not compared", note=note)]
    try:
        found = paired.differences(one.items, other.items)
    except paired.OtherItemsError:
        note = "not the same items were measured: evaluate both versions again"
        return [Row(set=source.set, split=source.split, verdict="missing", note=note)]
    primary = next((metric for metric in gates.primary if Quantity(metric) in found), None)
    rows = [
        _row(source, quantity, difference, gates, quantity == (primary, ""))
        for quantity, difference in found.items()
    ]
    rows += _without_outcomes(candidate, champion, source, gates, set(found))
    return [row for row in rows if row is not None]


def _unlike(one: Source, other: Source) -> str:
    """Return why the outcomes of two evaluations must not be compared; empty if they may be."""
    if one.digest != other.digest:
        return "the data of the two evaluations differ, though they have the same name"
    if one.measured_by != other.measured_by:
        return "the transfers were measured by two different encoders"
    return ""


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


def _values(version: Version, source: Source) -> dict[Quantity, float]:
    """Return what was measured of a version on a split by the usual protocol."""
    return {
        Quantity(row.metric, row.group): row.value
        for row in versions.measurements(version)
        if (row.set, row.split, row.protocol) == (source.set, source.split, "")
    }


def _side_by_side(candidate: Version, champion: Version, gates: Gates) -> Iterator[Row]:
    """Yield the rows for time and size."""
    for metric, measure in (
        ("latency_ms", side_by_side.latencies_ms),
        ("size_mb", side_by_side.sizes_mb),
    ):
        gate = gates.metrics.get(metric)
        if gate is None or gate.most_times is None:
            continue
        try:
            one, other = measure(candidate, champion)
        except BadVersion as error:
            yield Row(metric=metric, verdict="not compared", note=str(error))
            continue
        yield Row(
            metric=metric,
            candidate=one,
            champion=other,
            most_times=gate.most_times,
            greater_is_better=False,
            verdict="passed" if one <= gate.most_times * other else "failed",
        )
