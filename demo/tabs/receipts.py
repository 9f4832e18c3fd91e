"""What transfers are worth, as HTML: receipts, warnings, a strip of strengths, and a sheet."""

from html import escape

from demo.drawing import address
from demo.marking import jpeg
from demo.sheet import Sheet
from demo.tabs.house import notice
from demo.transfer import Strip, TransferAnswer

FARTHEST = 2.0
"""The largest distance of two unit vectors."""
HOW_TO_READ = (
    "Distance: 0 is the same expression, 2 the opposite. Likeness: 1 is the same person. "
    "Both are measured by the version's own encoder."
)


def receipts(answer: TransferAnswer) -> str:
    """Return how near the result came and whose face it is, as bars under the warnings."""
    found = answer.metrics
    distances = _bar("before", found.before, FARTHEST) + _bar("after", found.after, FARTHEST)
    likeness = _bar("to the person", found.likeness, 1.0)
    if found.driver_likeness is not None:
        likeness += _bar("to the other", found.driver_likeness, 1.0)
    return (
        f"{''.join(notice(warning) for warning in answer.warnings)}"
        '<div class="receipts"><h3>Distance to the expression</h3>'
        f'<ul class="bars">{distances}</ul>'
        f'<h3>Likeness of the face</h3><ul class="bars">{likeness}</ul></div>'
        f'<p class="hint">{HOW_TO_READ}</p>'
    )


def strip(made: Strip) -> str:
    """Return the pictures of a strip in a row, each under its mark."""
    pictures = "".join(
        f'<li><img src="{address(jpeg(crop))}" alt="The face at strength {strength:g}">'
        f"<span>{strength:g}</span></li>"
        for strength, crop in zip(made.strengths, made.crops, strict=True)
    )
    return f'<ol class="strip" aria-label="The face by strength">{pictures}</ol>'


def sheet_shown(made: Sheet, who: str) -> str:
    """Return a sheet under the words that explain it; `who` made it."""
    failed = (
        f"{made.failed} of {made.results} fail their own check and have a red edge."
        if made.failed
        else f"All {made.results} pass their own check."
    )
    return (
        f'<figure class="sheet"><figcaption>What {escape(who)} makes of synthetic people (SFHQ, '
        "MIT): the faces of the first column with the expressions of the first line. "
        f'{failed}</figcaption><img src="{address(jpeg(made.picture))}" '
        f'alt="{made.results} generated faces"></figure>'
    )


def _bar(name: str, value: float, most: float) -> str:
    share = min(1.0, max(0.0, value / most))
    return (
        f'<li><span class="name">{name}</span>'
        f'<span class="track"><span class="bar" style="width:{share:.1%}"></span></span>'
        f'<span class="share">{value:.2f}</span></li>'
    )
