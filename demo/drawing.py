"""Drawings of the page: numbered boxes on a photo, and triangles to scale as SVG."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont, ImageOps

from demo.answers import PAIRS, Distances, Pair
from demo.predictors import Photo

SHORTEST_PX, LONGEST_PX = 480, 1280
"""Sizes of a photo on the page, by its longer side: numbers must be legible on a small one."""
CHOSEN, OTHER, INK = "#4338ca", "#ffffff", "#111827"
LETTERS = 0.043
"""Height of a tag's letters, as a share of the picture's longer side; half of it on small faces."""
WIDEST_TAG = 1.25
"""Width of a tag's text at most, as a share of its face's box, if it has a shorter text."""
THUMBNAIL_PX = 96

VIEW_WIDTH, VIEW_HEIGHT = 320, 260
LONGEST_EDGE = 170.0
BADGE_RADIUS = 24.0
BADGE_AWAY = 34.0
"""Distance of a face from its corner, in the SVG's units."""


def draw_boxes(
    photo: Photo, chosen: int, tags: Sequence[Sequence[str]]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a photo for the screen, its faces boxed and tagged.

    Args:
        photo: The photo and its faces.
        chosen: The face whose box and tag have a colour.
        tags: For each face, texts for its tag: the first that suits the width of its box is taken,
            else the last one. No texts, no tag.
    """
    scale = shown_scale(photo)
    copy = Image.fromarray(photo.pixels)
    size = (max(1, round(copy.width * scale)), max(1, round(copy.height * scale)))
    copy = copy.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    pen = ImageDraw.Draw(copy)
    for index in sorted(range(len(photo.faces)), key=lambda index: index == chosen):
        box = [edge * scale for edge in photo.faces[index].box]
        _draw_box(pen, box, chosen=index == chosen)
        if tags[index]:
            _draw_tag(pen, box, tags[index], chosen=index == chosen)
    return np.array(copy)


def shown_scale(photo: Photo) -> float:
    """Return how many pixels of `draw_boxes` one pixel of the photo is long."""
    longest = max(photo.pixels.shape)
    return float(np.clip(longest, SHORTEST_PX, LONGEST_PX)) / longest


def _draw_box(pen: ImageDraw.ImageDraw, box: Sequence[float], *, chosen: bool) -> None:
    line = max(3, max(pen.im.size) // 240)
    paper, ink = (CHOSEN, OTHER) if chosen else (OTHER, INK)
    rim = (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2)
    pen.rounded_rectangle(rim, 2 * line, outline=ink, width=line + 4)
    pen.rounded_rectangle(box, 2 * line, outline=paper, width=line)


def _draw_tag(
    pen: ImageDraw.ImageDraw, box: Sequence[float], texts: Sequence[str], *, chosen: bool
) -> None:
    """Draw a tag at the upper left corner of a box, inside the picture."""
    text, size = _fit(texts, box[2] - box[0], LETTERS * max(pen.im.size))
    font = ImageFont.load_default(size)
    high = 1.4 * size
    wide = max(high, font.getlength(text) + 0.8 * size)
    left = max(0.0, min(box[0] - high / 2, pen.im.size[0] - wide - 1))
    top = max(0.0, min(box[1] - high / 2, pen.im.size[1] - high - 1))
    paper, ink = (CHOSEN, OTHER) if chosen else (OTHER, INK)
    place = (left, top, left + wide, top + high)
    pen.rounded_rectangle(place, high / 2, fill=paper, outline=ink, width=2)
    pen.text((left + wide / 2, top + high / 2), text, ink, font, anchor="mm")


def _fit(texts: Sequence[str], width: float, largest: float) -> tuple[str, float]:
    """Return the first text that suits a face of this width, else the last, and its letters' size.

    Letters are at most `largest` high, and not smaller than half of it.
    """
    wanted, font = min(largest, max(largest / 2, width / 3)), ImageFont.load_default(100)
    for text in texts:
        size = min(wanted, 100 * WIDEST_TAG * width / font.getlength(text))
        if size >= largest / 2:
            return text, size
    return texts[-1], largest / 2


def thumbnail_url(pixels: UInt8[np.ndarray, "h w 3"]) -> str:
    """Return a small square picture as a data URL; a tall one is cut below."""
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    fitted = ImageOps.fit(Image.fromarray(pixels), size, centering=(0.5, 0.35))
    return jpeg_url(np.array(fitted))


def jpeg_url(pixels: UInt8[np.ndarray, "h w 3"]) -> str:
    """Return a small picture as a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
    return data_url(buffer.getvalue())


def data_url(jpeg: bytes) -> str:
    """Return a JPEG file as a data URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def png_url(png: bytes) -> str:
    """Return a PNG file as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def shrink(pixels: UInt8[np.ndarray, "h w 3"], longest_px: int) -> UInt8[np.ndarray, "a b 3"]:
    """Return a picture no longer than this; a smaller one as it is."""
    if max(pixels.shape) <= longest_px:
        return pixels
    copy = Image.fromarray(pixels)
    copy.thumbnail((longest_px, longest_px), Image.Resampling.BILINEAR)
    return np.array(copy)


def shared_scale(*triangles: Distances) -> float:
    """Return the scale, in SVG units a distance of 1, that shows all these triangles."""
    return LONGEST_EDGE / max(1e-9, *(max(distances) for distances in triangles))


def triangle(
    distances: Distances,
    scale: float,
    *,
    label: str,
    pair: Pair | None = None,
    faces: Sequence[str] = (),
) -> str:
    """Return an SVG of a triangle whose edges are as long as three distances.

    Args:
        distances: Of the pairs (1, 2), (1, 3), (2, 3).
        scale: SVG units a distance of 1.
        label: The same in words, for screen readers.
        pair: The edge drawn thick.
        faces: Data URLs of the pictures shown at the corners 1, 2 and 3.
    """
    points = triangle_corners(distances) * scale
    away = BADGE_AWAY * outward(points)
    taken = np.concatenate([points, points + away])
    points = points + (np.array([VIEW_WIDTH, VIEW_HEIGHT]) - taken.max(0) - taken.min(0)) / 2
    badges = points + away
    parts = [_edge(points, edge, closest=edge == pair) for edge in PAIRS]
    parts += [f'<circle class="corner" cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in points]
    for number, (x, y) in enumerate(badges, start=1):
        parts.append(_badge(number, float(x), float(y), faces[number - 1] if faces else ""))
    return (
        f'<svg class="triangle" viewBox="0 0 {VIEW_WIDTH} {VIEW_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def triangle_corners(distances: Distances) -> Float[np.ndarray, "3 2"]:
    """Return x, y of the corners 1, 2, 3 with these distances, the longest edge horizontal."""
    longest = int(np.argmax(distances))
    left, right = PAIRS[longest]
    top = 6 - left - right
    base, from_left, from_right = (
        distances[longest],
        distances[PAIRS.index((min(left, top), max(left, top)))],
        distances[PAIRS.index((min(right, top), max(right, top)))],
    )
    along = (base**2 + from_left**2 - from_right**2) / (2 * base) if base else 0.0
    above = max(0.0, from_left**2 - along**2) ** 0.5
    positions = {left: (0.0, 0.0), right: (base, 0.0), top: (along, -above)}
    return np.array([positions[number] for number in (1, 2, 3)])


def outward(points: Float[np.ndarray, "3 2"]) -> Float[np.ndarray, "3 2"]:
    """Return for each corner the direction away from both others, of length 1.

    Corners at one point get three different directions.
    """
    fallback = np.array([[-0.87, 0.5], [0.87, 0.5], [0.0, -1.0]])
    directions = np.zeros((3, 2))
    for one in range(3):
        for other in {0, 1, 2} - {one}:
            difference = points[one] - points[other]
            length = float(np.linalg.norm(difference))
            directions[one] += difference / length if length > 1e-6 else fallback[one]
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, directions / np.maximum(lengths, 1e-6), fallback)


def _edge(points: Float[np.ndarray, "3 2"], pair: Pair, *, closest: bool) -> str:
    (x1, y1), (x2, y2) = (points[number - 1] for number in pair)
    kind = "edge closest" if closest else "edge"
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _badge(number: int, x: float, y: float, face: str) -> str:
    """Return a face in a circle with its number at the lower right, or the number alone."""
    if not face:
        return _number(number, x, y)
    r = BADGE_RADIUS
    picture = (
        f'<image href="{face}" x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}" '
        'clip-path="circle()" preserveAspectRatio="xMidYMid slice"/>'
        f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
    )
    return picture + _number(number, x + 0.72 * r, y + 0.72 * r)


def _number(number: int, x: float, y: float) -> str:
    return (
        f'<circle class="disc" cx="{x:.1f}" cy="{y:.1f}" r="10"/>'
        f'<text class="number" x="{x:.1f}" y="{y:.1f}">{number}</text>'
    )
