"""The picture of a comparison: by how much a version is better or worse, with the intervals."""

import math
from collections.abc import Sequence
from pathlib import Path

from registry.promotion.comparison import Row

PASSED, FAILED = "#1a7f4b", "#c0392b"
INCH_PER_ROW, WIDTH_INCH, DPI = 0.28, 9.0, 120
SMALLEST_UNIT = 0.001
"""The unit where the margin is 0."""
FARTHEST = 6.0
"""How many margins the picture shows to each side; what is farther away is drawn at its edge."""


def draw(compared: Sequence[Row], title: str, path: Path) -> Path:
    """Draw the rows that have a difference, as PNG, and return its path.

    The unit is the margin: a point at -1 is as much worse as is allowed. Points are differences,
    lines their 95 % intervals; better is to the right for every metric.

    Args:
        compared: the rows.
        title: what stands above the picture.
        path: the file, whose folder exists.

    Raises:
        OSError: the file can't be written.
    """
    from matplotlib.figure import Figure

    rows = [row for row in compared if row.margin is not None and _is_number(row)]
    figure = Figure(figsize=(WIDTH_INCH, 1.4 + INCH_PER_ROW * len(rows)), layout="constrained")
    axes = figure.subplots()
    for height, row in enumerate(reversed(rows)):
        low, middle, high = (max(-FARTHEST, min(FARTHEST, each)) for each in _in_margins(row))
        colour = PASSED if row.verdict == "passed" else FAILED
        axes.plot([low, high], [height, height], color=colour, linewidth=2)
        axes.plot(middle, height, "o", color=colour, markersize=5)
    axes.axvline(-1, color=FAILED, linestyle="--", linewidth=1)
    axes.axvline(0, color="#666666", linewidth=1)
    axes.set_yticks(range(len(rows)), [_label(row) for row in reversed(rows)])
    axes.set_xlim(-FARTHEST - 0.3, FARTHEST + 0.3)
    axes.set_xlabel("worse  <  difference in margins, 95 % interval  >  better")
    axes.set_title(title, size=11)
    figure.savefig(path, dpi=DPI)
    return path


def _is_number(row: Row) -> bool:
    return all(
        value is not None and math.isfinite(value) for value in (row.candidate, row.champion)
    )


def _in_margins(row: Row) -> tuple[float, float, float]:
    """Return lower end, value and upper end of the improvement, in margins."""
    assert row.candidate is not None
    assert row.champion is not None
    assert row.margin is not None
    unit = row.margin or SMALLEST_UNIT
    sign = 1 if row.greater_is_better else -1
    middle = sign * (row.candidate - row.champion)
    ends = (middle, middle) if row.low is None or row.high is None else (row.low, row.high)
    low, high = sorted(sign * end for end in ends) if row.low is not None else ends
    return low / unit, middle / unit, high / unit


def _label(row: Row) -> str:
    return f"{row.name} (decides)" if row.is_primary else row.name
