"""Results of transfers as HTML: metrics and warnings, a strip of strengths, a contact sheet."""

from html import escape

from demo.contact_sheet import ContactSheet
from demo.drawing import data_url
from demo.marking import encode_jpeg
from demo.tabs.context import notice
from demo.transfer import Strip, TransferAnswer

MAX_DISTANCE = 2.0
"""The largest distance of two unit vectors."""
FAR_SHAPES = 2.0
"""A distance of blendshapes that fills the bar: few faces are farther apart."""
BY_SHAPES = "Distance by brows, eyes and mouth"
HOW_TO_READ = (
    "Distance: 0 is the same expression, 2 the opposite. Likeness: 1 is the same face, but two "
    "people can be alike as well. Both are measured by the version's own encoder; it doesn't prove "
    "that it is still the same person."
)
HOW_TO_READ_SHAPES = (
    "The distance by brows, eyes and mouth is measured by another network, which the version did "
    "not learn from: by this distance results are warned of. 0 is the same."
)


def metrics_html(answer: TransferAnswer) -> str:
    """Return the warnings, and the metrics as bars."""
    metrics = answer.metrics
    distances = _bar("before", metrics.before, MAX_DISTANCE)
    distances += _bar("after", metrics.after, MAX_DISTANCE)
    if metrics.blendshapes_before is not None and metrics.blendshapes_after is not None:
        distances += f'</ul><h3>{BY_SHAPES}</h3><ul class="bars">'
        distances += _bar("before", metrics.blendshapes_before, FAR_SHAPES)
        distances += _bar("after", metrics.blendshapes_after, FAR_SHAPES)
    likeness = _bar("to the person", metrics.likeness, 1.0)
    if metrics.driver_likeness is not None:
        likeness += _bar("to the other", metrics.driver_likeness, 1.0)
    how_shapes = f" {HOW_TO_READ_SHAPES}" if metrics.blendshapes_after is not None else ""
    return (
        f"{''.join(notice(warning) for warning in answer.warnings)}"
        '<div class="metrics"><h3>Distance to the expression</h3>'
        f'<ul class="bars">{distances}</ul>'
        f'<h3>Likeness of the face</h3><ul class="bars">{likeness}</ul></div>'
        f'<p class="hint">{HOW_TO_READ}{how_shapes}</p>'
    )


def strip_html(strip: Strip) -> str:
    """Return the pictures of a strip in a row, each above its strength."""
    pictures = "".join(
        f'<li><img src="{data_url(encode_jpeg(crop))}" alt="The face at strength {strength:g}">'
        f"<span>{strength:g}</span></li>"
        for strength, crop in zip(strip.strengths, strip.crops, strict=True)
    )
    return f'<ol class="strip" aria-label="The face by strength">{pictures}</ol>'


def sheet_html(sheet: ContactSheet, version: str) -> str:
    """Return a contact sheet under a caption; `version` is "pix2pixhd version 3"."""
    failed = (
        f"{sheet.failed} of {sheet.results} fail their own check and have a red edge."
        if sheet.failed
        else f"All {sheet.results} pass their own check."
    )
    return (
        f'<figure class="sheet"><figcaption>Results of {escape(version)} for synthetic people '
        "(SFHQ, MIT): the faces of the first column with the expressions of the first row. "
        f'{failed}</figcaption><img src="{data_url(encode_jpeg(sheet.picture))}" '
        f'alt="{sheet.results} generated faces"></figure>'
    )


def _bar(name: str, value: float, maximum: float) -> str:
    share = min(1.0, max(0.0, value / maximum))
    return (
        f'<li><span class="name">{name}</span>'
        f'<span class="track"><span class="bar" style="width:{share:.1%}"></span></span>'
        f'<span class="share">{value:.2f}</span></li>'
    )
