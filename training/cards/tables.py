"""Metrics by their names, `SPLIT/SET/METRIC`, as tables for people."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from registry.export import number

LOW, HIGH = "_low", "_high"
NAMED = re.compile(r"(?P<split>train|validation|test)/(?:(?P<set>[^/]+)/)?(?P<metric>.+)")
GROUPED = re.compile(r"(?P<metric>.+)/(?P<group>(?:sex|ethnicity)[:=].+)")
RECALL = "recall_"
SPEED = "latency_ms/"
NO_SET = "all sets"


class Result(NamedTuple):
    """One cell of a table; `group` is empty for everybody."""

    split: str
    set: str
    metric: str
    group: str
    cell: str


def overall(metrics: Mapping[str, float]) -> str:
    """Return as Markdown what holds for everybody: a table a split, a column a set."""
    tables = _tables([result for result in _results(metrics) if not result.group])
    speed = [
        f"| {_words(key.removeprefix(SPEED))} | {number(value)} |"
        for key, value in sorted(metrics.items())
        if key.startswith(SPEED)
    ]
    if speed:
        tables.append("\n".join(["| one face | ms |", "|---|---|", *speed]))
    return "\n\n".join(tables)


def by_group(metrics: Mapping[str, float]) -> str:
    """Return as Markdown what holds for the faces of one sex, ethnicity or emotion."""
    return "\n\n".join(_tables([result for result in _results(metrics) if result.group]))


def as_published(metrics: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each split of each set, in the form in which papers print it.

    Triplets: accuracy by type and over all, of how many. Emotions: accuracy, and its mean over the
    classes (mean recall).
    """
    for key, value in metrics.items():
        start, _, metric = key.rpartition("/")
        title = start.replace("/", ", ")
        if metric == "triplet_accuracy":
            shares = [_share(metrics, start, kind) for kind in ("_one_class", "_two_class")]
            shares += [_share(metrics, start, "_three_class"), _share(metrics, start, "")]
            yield f"{title}: {', '.join(filter(None, shares))}"
        if metric == "accuracy" and f"{start}/mean_recall" in metrics:
            mean = metrics[f"{start}/mean_recall"]
            yield f"{title}: accuracy {value:.2%}, mean class accuracy {mean:.2%}"


def _share(metrics: Mapping[str, float], start: str, kind: str) -> str:
    share = metrics.get(f"{start}/triplet_accuracy{kind}")
    if share is None:
        return ""
    count = metrics.get(f"{start}/triplets{kind}")
    of = "" if count is None else f" of {count:,.0f}"
    return f"{_words(kind).strip() or 'all'} {share:.2%}{of}"


def _results(metrics: Mapping[str, float]) -> Iterator[Result]:
    """Yield the metrics of a split; the ends of an interval go into the cell they belong to."""
    for key, value in sorted(metrics.items()):
        named = NAMED.fullmatch(_without_end(key, metrics))
        if named is None or key != named[0] or (named["split"] == "train" and not named["set"]):
            continue
        yield _result(named, _cell(key, value, metrics))


def _result(named: re.Match[str], cell: str) -> Result:
    split, metric = named["split"], named["metric"]
    of_set = named["set"] or NO_SET
    if grouped := GROUPED.fullmatch(metric):
        group = re.sub("[:=]", " ", grouped["group"], count=1)
        return Result(split, of_set, _words(grouped["metric"]), group, cell)
    if metric.startswith(RECALL):
        return Result(split, of_set, "recall", metric.removeprefix(RECALL), cell)
    return Result(split, of_set, _words(metric), "", cell)


def _without_end(key: str, metrics: Mapping[str, float]) -> str:
    """Return the metric whose interval `key` ends, or the key itself if it is no end."""
    for end in (LOW, HIGH):
        if key.removesuffix(end) in metrics:
            key = key.removesuffix(end)
    return key


def _cell(key: str, value: float, metrics: Mapping[str, float]) -> str:
    if key + LOW in metrics and key + HIGH in metrics:
        return f"{number(value)} ({metrics[key + LOW]:.2f} to {metrics[key + HIGH]:.2f})"
    return number(value)


def _tables(results: list[Result]) -> list[str]:
    """Return a table for each split, the test first."""
    splits = sorted({result.split for result in results})
    return [
        _table(split, [result for result in results if result.split == split]) for split in splits
    ]


def _table(split: str, results: list[Result]) -> str:
    sets = sorted({result.set for result in results})
    cells = {(result.metric, result.group, result.set): result.cell for result in results}
    rows = [
        f"| {', '.join(filter(None, row))} | "
        + " | ".join(cells.get((*row, of_set), "") for of_set in sets)
        + " |"
        for row in sorted({(result.metric, result.group) for result in results})
    ]
    return "\n".join([f"| {split} | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|", *rows])


def _words(name: str) -> str:
    return name.replace("_", " ").replace("/", " ")
