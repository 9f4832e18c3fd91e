"""What is in production of a model, as HTML: since when, how good, instead of what."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import groupby

from demo.model_reports import ModelReport, VersionReport
from demo.shadow import Candidate, Comparison
from demo.tabs.context import PageContext, code_marked, notice
from registry.catalog import DLN, EMOTION, ModelSpec, model_of
from registry.entries import Version
from registry.measurements import Measurement
from registry.promotion.journal import UNKNOWN, Entry

HOW_TO_READ = (
    "Each scale goes from 0 to 1; the bar is the 95 % interval where one was measured. The model "
    "card below says what the numbers mean."
)
NOTHING_MEASURED = "Nothing was measured of this version: `python -m training evaluate` does it."
FIRST = "It is the first version in production that the journal knows: there is nothing to compare."
DIFFERENCES = {
    DLN.name: ("odd one of three", "distances"),
    EMOTION.name: ("emotion", "probabilities"),
}
"""What is compared of two versions: a choice, and numbers."""
NOT_ASKED = "It has not been asked since the page was started. Only these counts are kept."
LEFT_OUT = "{} questions were not put to it, because it was busy."
KINDS = {
    "seeded": "put there as a starter",
    "promoted": "promoted",
    "forced": "promoted although the gates refused it",
    "rolled back": "brought back",
    "moved": "moved there in MLflow's UI or by another program",
}


def report_html(context: PageContext, spec: ModelSpec, report: ModelReport) -> str:
    """Return the whole report but the model card."""
    parts = (
        _heading(spec, report),
        context.problem_html(spec),
        _facts(context, spec, report),
        "<h3>How good it is</h3>",
        _measured(report.now),
        "<h3>What changed at the last swap</h3>",
        _change(report),
        "<h3>The journal's last lines</h3>",
        _journal(report.journal),
    )
    return f'<div class="answer report">{"".join(parts)}</div>'


def shadow_html(candidate: Candidate) -> str:
    """Return how often a candidate answers otherwise than the version in production."""
    lines = "".join(f"<li>{_compared_with(each, candidate)}</li>" for each in candidate.comparisons)
    left_out = f"<p>{LEFT_OUT.format(candidate.left_out)}</p>" if candidate.left_out else ""
    return (
        f'<div class="answer"><h2>Beside it, for comparison: version {candidate.number}</h2>'
        f"{notice(candidate.problem) if candidate.problem else ''}"
        f'<ul class="compared">{lines or f"<li>{NOT_ASKED}</li>"}</ul>{left_out}</div>'
    )


def _compared_with(found: Comparison, candidate: Candidate) -> str:
    kind, numbers = DIFFERENCES[model_of(candidate.name)]
    return (
        f"{found.differing} of {found.answers} answers have another {kind} than those of version "
        f"{found.champion} ({found.differing / found.answers:.1%}); {numbers} differ by "
        f"{found.mean_difference:.3f} on average."
    )


def _heading(spec: ModelSpec, report: ModelReport) -> str:
    since = f", since {_time(report.since.at)}" if report.since else ""
    return (
        f"<h2>{escape(spec.title)}: version {report.now.version.number}{since}</h2>"
        f"<p>{escape(spec.purpose)}</p>"
    )


def _facts(context: PageContext, spec: ModelSpec, report: ModelReport) -> str:
    """Return who put the version there and why, whether it is validated, and what computes it."""
    version, since = report.now.version, report.since
    model = context.server.loaded(spec.name)
    answering = "no version yet"
    if model is not None:
        place = escape(f"{model.device}, {model.engine}")
        answering = f"version {model.version.number} · {place}"
    links = (context.version_html(version.name, version.number), context.run_html(version.run_id))
    rows = {
        "In production": _reason(since) if since else "the journal has no entry about it",
        "Validated": _validated(version),
        "Answers now": answering,
        "Training": escape(report.now.training or "its run was deleted"),
        "Registered": _time(version.created),
        "In MLflow": " · ".join(links),
    }
    pairs = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items())
    return f'<dl class="facts provenance">{pairs}</dl>'


def _reason(entry: Entry) -> str:
    who = "" if entry.who == UNKNOWN else f", by {entry.who}"
    why = f": {entry.why}" if entry.why else ""
    return escape(f"{KINDS.get(entry.kind, entry.kind)}{who}{why}")


def _validated(version: Version) -> str:
    if version.validation is None:
        return "yes, as a starter" if version.is_validated else "<b>no</b>"
    reason = f": {escape(version.validation_reason)}" if version.validation_reason else ""
    return f"{'yes' if version.is_validated else '<b>no, it failed</b>'}{reason}"


def _measured(report: VersionReport) -> str:
    """Return the measurements as pictures of their intervals, and those by group, folded."""
    if not report.shown:
        return f'<p class="hint">{code_marked(NOTHING_MEASURED)}</p>'
    groups = sorted((row for row in report.shown if row.group), key=lambda row: row.metric)
    folded = f"<details><summary>By group</summary>{_intervals(groups)}</details>"
    return (
        f'<p class="hint">On the {escape(report.shown[0].split)} split. {HOW_TO_READ}</p>'
        f"{_intervals(report.main)}{folded if groups else ''}"
    )


def _intervals(rows: Sequence[Measurement]) -> str:
    """Return the measurements of each metric below its name; `rows` are sorted by metric."""
    parts = []
    for metric, measured in groupby(rows, key=lambda row: row.metric):
        items = "".join(map(_interval, sorted(measured, key=lambda row: (row.group, row.set))))
        parts.append(f'<h4>{_words(metric)}</h4><ul class="intervals">{items}</ul>')
    return f'<div class="metrics-by-name">{"".join(parts)}</div>'


def _interval(row: Measurement) -> str:
    name = ", ".join(filter(None, [row.group, row.set])) or "all"
    value, span = f"{row.value:.3f}", ""
    if row.low is not None and row.high is not None:
        low, high = max(0.0, row.low), min(1.0, row.high)
        span = f'<span class="span" style="left:{low:.1%};width:{max(0.0, high - low):.1%}"></span>'
        value += f" <small>{row.low:.2f} to {row.high:.2f}</small>"
    return (
        f'<li><span class="name">{escape(name)}</span><span class="scale">{span}'
        f'<span class="point" style="left:{row.value:.1%}"></span></span>'
        f'<span class="value">{value}</span></li>'
    )


def _change(report: ModelReport) -> str:
    """Return the version before and the present one side by side."""
    if report.before is None:
        lost = report.since.before if report.since else None
        gone = f"Version {lost}, which was there before, was deleted or can't be read."
        return f'<p class="hint">{gone if lost else FIRST}</p>'
    pair = (report.before, report.now)
    rows = [
        ("registered", *(_time(each.version.created) for each in pair), ""),
        ("training", *(escape(each.training) for each in pair), ""),
        ("validated", *(_validated(each.version) for each in pair), ""),
        *_compared(*pair),
    ]
    head = ("", *(f"version {each.version.number}" for each in pair), "difference")
    return _table("The version before and the present one", head, rows)


def _compared(before: VersionReport, now: VersionReport) -> list[tuple[str, ...]]:
    """Return the main metrics of both, and their difference where both saw the same data."""
    old = {(row.split, row.metric, row.set): row for row in before.main}
    rows: list[tuple[str, ...]] = []
    for row in now.main:
        other = old.get((row.split, row.metric, row.set))
        difference = "" if other is None else f"{row.value - other.value:+.3f}"
        if other is not None and _other_data(row.set, before.version, now.version):
            difference = "other data"
        value = "" if other is None else f"{other.value:.3f}"
        rows.append(
            (f"{_words(row.metric)}, {escape(row.set)}", value, f"{row.value:.3f}", difference)
        )
    return rows


def _other_data(name: str, *pair: Version) -> bool:
    """Return whether both versions know a data set and mean different contents."""
    before, now = (version.data.get(name) for version in pair)
    return None not in (before, now) and before != now


def _journal(entries: Sequence[Entry]) -> str:
    rows = [
        (
            _time(entry.at),
            escape(entry.kind),
            f"{entry.before or 'none'} to {entry.after or 'none'}",
            escape(entry.who),
            escape(entry.why),
        )
        for entry in entries
    ]
    return _table("The journal", ("when", "what", "version", "who", "why"), rows)


def _table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that scrolls where it is too wide; its cells are HTML already."""
    titles = "".join(f'<th scope="col">{title}</th>' if title else "<td></td>" for title in head)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}"><table>'
        f"<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _words(metric: str) -> str:
    return escape(metric.replace("_", " "))
