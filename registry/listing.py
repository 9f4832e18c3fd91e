"""Versions and what was measured of them, as tables for a terminal and as plain values for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE
from rich.table import Column, Table

from registry import versions
from registry.entries import Version
from registry.measurements import Measurement, to_rows
from registry.promotion.journal import Entry as JournalEntry

HEADLINES = ("triplet_accuracy", "accuracy", "nearer")
"""The metric that stands for a model in a list: of embeddings, classifiers and generators."""
SPLITS = ("test", "validation")
"""Where the headline is taken from: the first of them that has any measurement."""


def table_of_versions(found: Sequence[Version]) -> Table:
    """Return number, aliases, date and headline of each version, within 80 columns."""
    table = Table(
        Column("Version", no_wrap=True),
        Column("Alias", no_wrap=True),
        Column("Date", no_wrap=True),
        Column("Result", overflow="fold"),
        box=SIMPLE,
        padding=0,
        show_edge=False,
    )
    for version in found:
        best = headline(versions.measurements(version))
        result = "" if best is None else _sentence(best)
        number, date = f"{version.name} {version.number}", f"{_local(version):%Y-%m-%d}"
        table.add_row(number, "\n".join(version.aliases), date, result)
    return table


def table_of_metadata(version: Version) -> Table:
    """Return what a version's user has to know."""
    crop = version.crop
    turned = "eyes level" if crop.roll else "not turned"
    metadata = {
        "Model": version.name,
        "Version": str(version.number),
        "Aliases": ", ".join(version.aliases),
        "Created": f"{_local(version):%Y-%m-%d %H:%M}",
        "Validated": _validated(version),
        "Run": version.run_id,
        "Crop": f"{crop.size_px} px, margin {crop.margin:g}, {turned}",
        "Labels": ", ".join(version.labels),
        "Temperature": "" if version.temperature is None else f"{version.temperature:g}",
        **{f"Class prior {label}": f"{share:.3f}" for label, share in version.class_prior.items()},
        "Starter": version.starter or "",
        "Imported from": version.imported_from,
        "Copy of": version.copy_of,
        **{f"Output {name}": shape for name, shape in version.outputs.items()},
        **{f"Encoder {name}": shape for name, shape in version.encoder.items()},
        **{f"Threshold {name}": f"{least:g}" for name, least in version.thresholds.items()},
        **{f"Data {name}": digest for name, digest in version.data.items()},
    }
    table = Table(Column(no_wrap=True), Column(overflow="fold"), show_header=False)
    for key, value in metadata.items():
        if value:
            table.add_row(key, value)
    return table


def table_of_journal(entries: Sequence[JournalEntry]) -> Table:
    """Return the entries of a journal, newest first, at this machine's time."""
    table = Table(
        Column("When", no_wrap=True),
        Column("What", no_wrap=True),
        Column("Version", no_wrap=True),
        Column("Who"),
        Column("Why", overflow="fold"),
        box=SIMPLE,
        padding=0,
        show_edge=False,
    )
    for entry in reversed(entries):
        moved = f"{entry.before or 'none'} to {entry.after or 'none'}"
        if not entry.moves and entry.after is None:
            moved = f"{entry.before or 'none'}"
        when = f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}"
        table.add_row(when, entry.kind, moved, entry.who, entry.why)
    return table


def table_of_measurements(rows: Sequence[Measurement]) -> Table:
    """Return all that was measured of a version."""
    table = Table(Column("Measured", overflow="fold"), Column("Value", no_wrap=True), box=SIMPLE)
    for row in rows:
        table.add_row(row.name, f"{row.value:.6g}{_interval(row)}")
    return table


def headline(rows: Sequence[Measurement]) -> Measurement | None:
    """Return the measurement that stands for a version in a list; None where nothing is known."""
    for split in SPLITS:
        whole = [row for row in rows if row.split == split and not row.protocol and not row.group]
        for metric in HEADLINES:
            if found := next((row for row in whole if row.metric == metric), None):
                return found
        if whole:
            return whole[0]
    return None


def version_values(version: Version) -> dict[str, Any]:
    """Return what is known of a version, as JSON can hold it."""
    known = asdict(version)
    first = {"model": known.pop("name"), "version": known.pop("number")}
    return {**first, **known, "created": version.created.isoformat()}


def list_values(version: Version) -> dict[str, Any]:
    """Return what the list shows of a version, as JSON can hold it."""
    best = headline(versions.measurements(version))
    return {
        "model": version.name,
        "version": version.number,
        "aliases": list(version.aliases),
        "created": version.created.isoformat(),
        "run_id": version.run_id,
        "headline": to_rows([best])[0] if best else None,
    }


def _validated(version: Version) -> str:
    """Return whether a version passed the gates of promotion, and why or why not."""
    if version.validation is None:
        return "yes, as a starter" if version.is_validated else "no"
    return f"{version.validation}: {version.validation_reason}".removesuffix(": ")


def _sentence(row: Measurement) -> str:
    where = " ".join(filter(None, [row.set, "" if row.split == SPLITS[0] else row.split]))
    return f"{row.metric.replace('_', ' ')} {row.value:.2f}{_interval(row)} {where}".rstrip()


def _interval(row: Measurement) -> str:
    return "" if row.low is None or row.high is None else f" ({row.low:.2f} to {row.high:.2f})"


def _local(version: Version) -> Any:
    return version.created.astimezone()
