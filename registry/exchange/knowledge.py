"""What an exported folder says of its version besides the graphs: read, and checked."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from registry import measurements, metadata_checks, outcomes
from registry.console import printable
from registry.entries import VersionMetadata
from registry.errors import BadExport, first_line
from registry.exchange import layout
from registry.exchange.layout import KEPT
from registry.measurements import Measurement
from registry.outcomes import Outcomes, Source

LARGEST_TEXT = 4_000_000
"""Most bytes of a JSON or Markdown file."""
LONGEST_CARD = 100_000
"""Most characters of a version's description in MLflow."""
SET, SPLITS = re.compile(r"\w[\w.-]{0,99}"), ("train", "validation", "test")
DIGEST = re.compile(r"[0-9a-f]{1,64}")
REQUIRED = (layout.METADATA, layout.CARD, layout.MEASUREMENTS)


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What is known of an exported version besides its graphs, read and checked."""

    model: str
    origin: str
    """Which version of which registry it was."""
    metadata: VersionMetadata
    description: str
    measured: list[Measurement]
    run_card: Mapping[str, Any] | None
    """How it was trained; None where that isn't known."""
    outcomes: tuple[Outcomes, ...]
    """The outcome of each item of its evaluations."""


def read(folder: Path, names: set[str]) -> Knowledge:
    """Read all but the graphs.

    Raises:
        BadExport: a file is missing or isn't what its name says.
    """
    if missing := [name for name in REQUIRED if name not in names]:
        raise BadExport(f"{folder} is no exported version: it has no {', '.join(missing)}; {KEPT}.")
    values = read_json(folder / layout.METADATA)
    with _reading(folder / layout.METADATA):
        if values["format"] != layout.FORMAT:
            raise ValueError(f"its format is {values['format']}, not {layout.FORMAT}")
        metadata = _metadata(values)
        origin = f"{values['model']:.60}/{int(values['version'])}, run {values['run_id']:.60}"
        model = str(values["model"])
    has_card = layout.RUN_CARD in names
    return Knowledge(
        model=model,
        origin=printable(origin),
        metadata=metadata,
        description=_read_card(folder / layout.CARD),
        measured=_read_measurements(folder / layout.MEASUREMENTS),
        run_card=read_json(folder / layout.RUN_CARD) if has_card else None,
        outcomes=_outcomes(folder, names),
    )


def _metadata(values: Mapping[str, Any]) -> VersionMetadata:
    """Return the metadata, checked as those of a stored version are; no starter, no status."""
    tags = {key: json.dumps(values[key]) for key in layout.FIELDS if key in values}
    return VersionMetadata.from_tags(tags)


def _read_card(path: Path) -> str:
    with _reading(path):
        text = path.read_text(encoding="utf-8")
        if len(text) > LONGEST_CARD:
            raise ValueError(f"it has more than {LONGEST_CARD:,} characters")
    return text


def _read_measurements(path: Path) -> list[Measurement]:
    table = read_json(path)
    with _reading(path):
        rows = measurements.from_table(table)
        for row in rows:
            _check_row(row)
    return rows


def _check_row(row: Measurement) -> None:
    texts = (row.split, row.set, row.metric, row.group, row.protocol)
    bounds = [bound for bound in (row.low, row.high) if bound is not None]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("a name in it is no text")
    if not isinstance(row.value, int | float) or not all(map(metadata_checks.is_finite, bounds)):
        raise ValueError(f"{printable(row.name)} is no number")


def _outcomes(folder: Path, names: set[str]) -> tuple[Outcomes, ...]:
    """Return the tables of outcomes, marked as imported; their folder of the data is replaced."""
    found = []
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.parent.as_posix() != layout.OUTCOMES:
            continue
        with _reading(folder / name):
            table = outcomes.read_file(folder / name)
            if table is None or path.name != f"{table.source.name}.parquet":
                raise ValueError("it is no table of outcomes")
            found.append(replace(table, source=_checked_source(table.source)))
    return tuple(found)


def _checked_source(source: Source) -> Source:
    """Return the source of a table, which becomes part of a command that is printed."""
    if not SET.fullmatch(source.set) or source.split not in SPLITS:
        raise ValueError("its data set has no plain name")
    if not all(DIGEST.fullmatch(digest) for digest in (source.digest, source.measured_by or "0")):
        raise ValueError("its digest is none")
    return replace(source, folder=layout.data_folder(source.set), imported=True)


def read_json(path: Path) -> Any:
    """Return a JSON object."""
    with _reading(path):
        if path.stat().st_size > LARGEST_TEXT:
            raise ValueError("it is too large")
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
    return value


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn every way in which a file isn't what its name says into one sentence."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else first_line(error)
        raise BadExport(
            f"{path} can't be imported ({printable(reason)}): ask for another export; {KEPT}."
        ) from error
