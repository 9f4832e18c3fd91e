"""The probabilities of the emotions as bars."""

from collections.abc import Mapping
from html import escape


def bars_html(probabilities: Mapping[str, float]) -> str:
    """Return the probabilities as bars, in their order.

    Not gr.Label: each of its bars is a button without a function, eight stops for the Tab key.
    """
    rows = "".join(
        f'<li><span class="name">{escape(label)}</span>'
        f'<span class="track"><span class="bar" style="width:{share:.1%}"></span></span>'
        f'<span class="share">{share:.0%}</span></li>'
        for label, share in probabilities.items()
    )
    return f'<ol class="bars">{rows}</ol>'
