"""Measurements as tables of Markdown and as lines for a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from registry.graphs.export import number
from registry.measurements import Measurement

ALL_SETS = "all sets"


def overall(measurements: Sequence[Measurement]) -> str:
    """Return the results for all faces as Markdown: a table for each split, a column for each set.

    Results that need no data, such as latency, follow in a separate table.
    """
    tables = _tables(row for row in measurements if row.split and not row.is_subgroup)
    lines = [f"| {_label(row)} | {_cell(row)} |" for row in measurements if not row.split]
    if lines:
        tables.append("\n".join(["| on this machine | per face |", "|---|---|", *lines]))
    return "\n\n".join(tables)


def by_group(measurements: Sequence[Measurement]) -> str:
    """Return the results for the faces of one sex, ethnicity or emotion as Markdown."""
    return "\n\n".join(_tables(row for row in measurements if row.split and row.is_subgroup))


def lines(measurements: Iterable[Measurement]) -> Iterator[str]:
    """Yield each measurement as a line: name, value, and the interval if there is one."""
    for row in measurements:
        interval = "" if row.low is None else f"  ({row.low:.4f} to {row.high:.4f})"
        yield f"{row.name}  {row.value:.4f}{interval}"


def as_published(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield a line for each split of each set, in the form used in papers.

    Triplets: accuracy by type and over all, and the number of triplets. Emotions: accuracy, and its
    mean over the classes (mean recall).
    """
    values = {row.key: row.value for row in measurements}
    for row in measurements:
        title = ", ".join(filter(None, (row.split, row.set, row.protocol)))
        if row.metric == "triplet_accuracy" and not row.group:
            groups = ("one class", "two class", "three class", "")
            shares = [_share(values, row, group) for group in groups]
            yield f"{title}: {', '.join(filter(None, shares))}"
        mean = values.get((row.split, row.set, row.protocol, "mean_recall", ""))
        if row.metric == "accuracy" and mean is not None:
            yield f"{title}: accuracy {row.value:.2%}, mean class accuracy {mean:.2%}"


def _share(values: dict[tuple[str, ...], float], row: Measurement, group: str) -> str:
    place = (row.split, row.set, row.protocol)
    share = values.get((*place, "triplet_accuracy", group))
    if share is None:
        return ""
    count = values.get((*place, "triplets", group))
    of = "" if count is None else f" of {count:,.0f}"
    return f"{group or 'all'} {share:.2%}{of}"


def _tables(measurements: Iterable[Measurement]) -> list[str]:
    """Return a table for each split, the test first."""
    rows = list(measurements)
    splits = sorted({row.split for row in rows})
    return [_table(split, [row for row in rows if row.split == split]) for split in splits]


def _table(split: str, rows: list[Measurement]) -> str:
    sets = sorted({row.set for row in rows})
    cells = {(_label(row), row.set): _cell(row) for row in rows}
    head = f"| {split} | {' | '.join(name or ALL_SETS for name in sets)} |"
    body = [
        f"| {label} | {' | '.join(cells.get((label, name), '') for name in sets)} |"
        for label in sorted({_label(row) for row in rows})
    ]
    return "\n".join([head, "|---" * (len(sets) + 1) + "|", *body])


def _label(row: Measurement) -> str:
    name = row.metric.replace("_", " ")
    group = f", {row.group}" if row.group else ""
    return f"{name}{group}" + (f" ({row.protocol})" if row.protocol else "")


def _cell(row: Measurement) -> str:
    """Return the value, and the interval if there is one."""
    if row.low is None or row.high is None:
        return number(row.value)
    return f"{number(row.value)} ({row.low:.2f} to {row.high:.2f})"
