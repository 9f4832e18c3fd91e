"""RAF-DB, basic emotions: faces of the web, voted on by forty people each (Li, Deng, Du, 2017)."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from registry.catalog import FERPLUS_MARGIN
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import RAFDB
from training.datasets.readers.label_rows import UNNAMED, RejectedRows, Row, filter_rows, pictures
from training.datasets.source import Reading

LIST = "EmoLabel/list_patition_label.txt"
"""Spelled as published."""
NAME = re.compile(r"((train|test)_[0-9]+)\.jpg")
ORIGINAL, ALIGNED = "Image/original/{}.jpg", "Image/aligned/{}_aligned.jpg"
BOX = "Annotation/boundingbox/{}_boundingbox.txt"
"""Left, top, right and bottom of the face that has the label, in the original."""


def read(path: Path | None) -> Reading:
    """Return RAF-DB from its folder or a zip of it.

    The published test set is our test split; 5 % of the training set, drawn by name, are our
    validation split. Originals are cut as the demo cuts photos; aligned pictures are taken where
    there are fewer originals.

    Raises:
        PreparedError: `path` holds something else.
    """
    source, base = _opened(path)
    losses, there = RejectedRows(), set(source.members(f"{base}Image/"))
    rows = list(list_rows(source.read(base + LIST), losses))
    kind = _kind(rows, base, there)
    placed = [_placed(row, source, base, kind) for row in rows]
    labelled = filter_rows(placed, RAFDB, there, losses)
    return Reading(
        source=source,
        pictures=pictures(labelled),
        fallback=FERPLUS_MARGIN if kind == ALIGNED else None,
        notes=[*_notes(kind, [row for row, _ in labelled]), *losses.notes],
    )


def list_rows(content: bytes, losses: RejectedRows) -> Iterator[Row]:
    """Yield the rows of the list; lines off the pattern `train_00001.jpg 5` go to `losses`."""
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        where, said = f"{LIST} line {number}", line.split()
        name = NAME.fullmatch(said[0]) if len(said) == 2 else None
        if name:
            yield Row(where, said[0], name[1], said[1], name[2])
        elif said:
            losses.drop("not like `train_00001.jpg 5`", where, line.strip())


def _opened(path: Path | None) -> tuple[Files, str]:
    """Return the source and the folder in it; RAF-DB's compound emotions have such a list too."""
    source = Files.of(path, "rafdb", f"basic/{LIST}", LIST)
    return source, "basic/" if source.has(f"basic/{LIST}") else ""


def _kind(rows: list[Row], base: str, there: set[str]) -> str:
    """Return which pictures to take: originals, unless more of the aligned ones are there."""
    has = {k: sum(base + k.format(r.name) in there for r in rows) for k in (ORIGINAL, ALIGNED)}
    return ORIGINAL if has[ORIGINAL] >= has[ALIGNED] else ALIGNED


def _placed(row: Row, source: Files, base: str, kind: str) -> Row:
    near = _middle(source, base + BOX.format(row.name)) if kind == ORIGINAL else None
    return row._replace(member=base + kind.format(row.name), near=near)


def _middle(source: Files, member: str) -> tuple[float, float] | None:
    """Return the middle of the labelled face; None where no box is given."""
    if not source.has(member):
        return None
    try:
        left, top, right, bottom = map(float, source.read(member).split())
    except (ValueError, PreparedError):
        return None
    x, y = (left + right) / 2, (top + bottom) / 2
    return (x, y) if math.isfinite(x + y) and left < right and top < bottom else None


def _notes(kind: str, rows: list[Row]) -> list[str]:
    boxless = sum(row.near is None for row in rows)
    return [
        "The published test set is the test split; 5 % of the training set, drawn by name, are "
        "the validation split.",
        UNNAMED,
        *(
            ["Aligned pictures were taken; one in which no face was found is framed as in FER+."]
            if kind == ALIGNED
            else [
                "Originals were taken, and of several faces the one in the published box; "
                f"{boxless:,} photos have no box: their largest face is taken."
            ]
        ),
    ]
