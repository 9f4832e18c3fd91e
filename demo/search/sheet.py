"""The sheet of a search: a page of HTML with the faces found, to open in a browser."""

from collections.abc import Sequence
from html import escape
from string import Template

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from demo.answers import Box
from demo.drawing import jpeg_url
from demo.search.matches import Match
from registry.console import printable
from registry.photos import PhotoError, read_photo

CUT_PX = 160
CUT_MARGIN = 0.35
"""By which share of its longer side a face's box is widened on each side."""
GONE = "The photo is gone or can't be read any more."
SAME_PERSON = "perhaps the same person"
PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width">
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 1rem;
  padding: 0; list-style: none; }
figure { margin: 0; overflow-wrap: anywhere; }
img { width: 160px; height: 160px; border-radius: 12px; }
</style></head>
<body><h1>$title</h1>
<figure><img src="$query" alt="The face searched for"><figcaption>Searched for</figcaption></figure>
<p>$explanation</p>
<ol>$found</ol></body></html>
""")
EXPLANATION = (
    "The smaller the distance, the more alike two expressions are: 0 is the same, 2 the opposite. "
    "{provenance}"
)


def search_sheet(
    title: str, provenance: str, query: UInt8[np.ndarray, "h w 3"], matches: Sequence[Match]
) -> str:
    """Return a page of HTML that needs no other file.

    Args:
        title: What was searched for, and where.
        provenance: What measured the distances.
        query: The face searched for, cut out.
        matches: The faces found; the photos are read again for their faces.
    """
    return PAGE.substitute(
        title=escape(printable(title)),
        query=jpeg_url(query),
        explanation=escape(EXPLANATION.format(provenance=provenance)),
        found="".join(match_html(match, link=True) for match in matches),
    )


def match_html(match: Match, *, link: bool, name: str | None = None) -> str:
    """Return a list item with a face, its distance and its file's name.

    Args:
        match: A face found.
        link: Whether the name links to the file.
        name: The photo's name; its path by default.
    """
    shown = escape(printable(name or match.photo))
    try:
        photo = read_photo(match.photo.read())
        face = cut_out(photo, match.box or (0, 0, photo.shape[1], photo.shape[0]))
        picture = f'<img src="{jpeg_url(face)}" alt="Face {match.face} of {shown}">'
    except PhotoError:
        picture = f"<p>{GONE}</p>"
    if link and match.photo.member is None:
        shown = f'<a href="{escape(match.photo.path.resolve().as_uri())}">{shown}</a>'
    notes = escape(match_notes(match))
    return (
        f"<li><figure>{picture}<figcaption><b>{match.distance:.2f}</b> {shown}{notes}"
        "</figcaption></figure></li>"
    )


def cut_out(photo: UInt8[np.ndarray, "h w 3"], box: Box) -> UInt8[np.ndarray, "160 160 3"]:
    """Return the square around a face's box, moved or shrunk to be inside the photo."""
    left, top, right, bottom = box
    height, width = photo.shape[:2]
    half = min((0.5 + CUT_MARGIN) * max(right - left, bottom - top), height / 2, width / 2)
    x = float(np.clip((left + right) / 2, half, width - half))
    y = float(np.clip((top + bottom) / 2, half, height - half))
    cut = Image.fromarray(photo).crop((x - half, y - half, x + half, y + half))
    return np.array(cut.resize((CUT_PX, CUT_PX), Image.Resampling.BILINEAR))


def match_notes(match: Match) -> str:
    """Return what there is to say of a match beside its file: face, person, copies, labels."""
    face = f", face {match.face}" if match.face > 1 else ""
    same = f", {SAME_PERSON}" if match.same_person else ""
    count = len(match.copies)
    copies = f", and {count} {'copy' if count == 1 else 'copies'} of it" if count else ""
    labels = "".join(
        f", {name} {printable(value)}" for name, value in match.labels.items() if name != "set"
    )
    return face + same + copies + labels
