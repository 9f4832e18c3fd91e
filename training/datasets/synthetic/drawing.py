"""Faces drawn from ellipses and lines: identity and expression are two sets of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from registry.catalog import EMOTIONS

INTENSITIES = (1.0, 0.8, 0.6)
"""How strongly a variant shows its emotion."""
SUPERSAMPLING = 3
"""Drawn this many times larger, then reduced, for smooth edges."""
SKINS = ((255, 224, 196), (241, 194, 150), (224, 172, 125), (176, 120, 80), (120, 78, 52))
HAIRS = (
    (30, 24, 20),
    (90, 56, 30),
    (150, 100, 50),
    (214, 178, 104),
    (140, 50, 30),
    (150, 150, 150),
)
EYES = ((60, 40, 25), (70, 110, 160), (80, 120, 70), (40, 30, 30))
BACKGROUNDS = ((200, 210, 220), (90, 110, 130), (170, 190, 160), (220, 205, 190), (60, 60, 70))
MOUTH = (165, 60, 65)
Color = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Expression:
    """Movements of a face's parts; 0 is neutral, signed where both directions are possible."""

    smile: float = 0.0
    """Corners of the mouth: 1 up, -1 down."""
    jaw: float = 0.0
    """How far the mouth is open, 0 to 1."""
    brows: float = 0.0
    """Brows: 1 raised, -1 lowered."""
    frown: float = 0.0
    """Inner ends of the brows: 1 down (anger), -1 up (sadness)."""
    lids: float = 0.0
    """Eyes: 1 wide, -1 narrowed."""
    sneer: float = 0.0
    """Upper lip raised and nose wrinkled, 0 to 1."""
    smirk: float = 0.0
    """One corner of the mouth raised, 0 to 1."""
    width: float = 0.0
    """Mouth: 1 stretched, -1 pursed."""


EXPRESSIONS: Mapping[str, Expression] = {
    "neutral": Expression(),
    "happy": Expression(smile=1.0, jaw=0.3, lids=-0.4, width=0.8),
    "sad": Expression(smile=-0.9, frown=-0.9, lids=-0.5, width=-0.3),
    "surprise": Expression(jaw=1.0, brows=1.0, lids=1.0, width=-0.8),
    "fear": Expression(jaw=0.4, brows=0.6, frown=-0.8, lids=1.0, width=0.8, smile=-0.5),
    "disgust": Expression(sneer=1.0, brows=-0.6, lids=-0.8, smile=-0.5),
    "anger": Expression(frown=1.0, brows=-0.8, lids=0.3, smile=-0.4, width=-0.5),
    "contempt": Expression(smirk=1.0, lids=-0.3, width=0.2),
}


@dataclass(frozen=True, kw_only=True)
class Person:
    """Sizes and colours of a face; lengths in half sides of the picture."""

    skin: Color
    hair: Color
    iris: Color
    background: Color
    width: float
    height: float
    eye_gap: float
    eye: float
    nose: float
    mouth: float
    brow: float
    fringe: float
    long_hair: bool
    beard: bool
    glasses: bool

    @classmethod
    def from_seed(cls, seed: int) -> "Person":
        """Return the person of a seed; equal seeds give equal persons."""
        rng = np.random.default_rng((seed, 1))

        def one_of(colors: Sequence[Color]) -> Color:
            return colors[int(rng.integers(len(colors)))]

        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        return cls(
            skin=one_of(SKINS),
            hair=one_of(HAIRS),
            iris=one_of(EYES),
            background=one_of(BACKGROUNDS),
            width=between(0.58, 0.78),
            height=between(0.80, 0.94),
            eye_gap=between(0.24, 0.34),
            eye=between(0.11, 0.15),
            nose=between(0.16, 0.30),
            mouth=between(0.22, 0.32),
            brow=between(0.025, 0.06),
            fringe=between(0.30, 0.65),
            long_hair=bool(rng.random() < 0.4),
            beard=bool(rng.random() < 0.25),
            glasses=bool(rng.random() < 0.25),
        )


class Canvas:
    """A picture whose coordinates run from -1 to 1, moved and scaled a little."""

    def __init__(self, side_px: int, background: Color, shift: Point, scale: float):
        self.picture = Image.new("RGB", (side_px, side_px), background)
        self._draw = ImageDraw.Draw(self.picture)
        self._shift, self._scale, self._half = shift, scale, side_px / 2

    def _at(self, x: float, y: float) -> Point:
        dx, dy = self._shift
        return ((x * self._scale + dx + 1) * self._half, (y * self._scale + dy + 1) * self._half)

    def ellipse(self, x: float, y: float, rx: float, ry: float, color: Color) -> None:
        """Fill an ellipse around (x, y)."""
        self._draw.ellipse((self._at(x - rx, y - ry), self._at(x + rx, y + ry)), fill=color)

    def ring(self, x: float, y: float, radius: float, width: float, color: Color) -> None:
        """Draw the outline of a circle."""
        corners = (self._at(x - radius, y - radius), self._at(x + radius, y + radius))
        self._draw.ellipse(corners, outline=color, width=round(width * self._half))

    def area(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._at(x, y) for x, y in points], fill=color)

    def line(self, points: Sequence[Point], width: float, color: Color) -> None:
        """Draw a line of `width` with round joints."""
        placed = [self._at(x, y) for x, y in points]
        self._draw.line(placed, fill=color, width=round(width * self._half), joint="curve")


def draw(
    identity_seed: int, emotion: int, variant: int, size_px: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Return a drawn person's face, RGB; equal arguments give equal pixels.

    Args:
        identity_seed: seed of the person.
        emotion: index into EMOTIONS.
        variant: 0, 1, 2, ...: its strength cycles through INTENSITIES; head and light move.
        size_px: side of the square picture.
    """
    person = Person.from_seed(identity_seed)
    rng = np.random.default_rng((identity_seed, emotion, variant, 2))
    strength = INTENSITIES[variant % len(INTENSITIES)]
    full = vars(EXPRESSIONS[EMOTIONS[emotion]])
    shift = (float(rng.uniform(-0.02, 0.02)), float(rng.uniform(-0.02, 0.02)))
    side_px, scale = size_px * SUPERSAMPLING, float(rng.uniform(0.97, 1.03))
    canvas = Canvas(side_px, person.background, shift, scale)
    paint(canvas, person, Expression(**{part: value * strength for part, value in full.items()}))
    light = rng.uniform(0.85, 1.1)
    pixels = np.asarray(canvas.picture.reduce(SUPERSAMPLING)) * light
    return pixels.round().clip(0, 255).astype(np.uint8)


def paint(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Paint a person with an expression."""
    _head(canvas, person, expression)
    for side in (-1, 1):
        _eye(canvas, person, expression, side)
        _brow(canvas, person, expression, side)
    _nose(canvas, person, expression)
    _mouth(canvas, person, expression)


def _darker(color: Color, by: float = 0.7) -> Color:
    r, g, b = (int(channel * by) for channel in color)
    return r, g, b


def _head(canvas: Canvas, person: Person, expression: Expression) -> None:
    w, longer = person.width, 0.05 * expression.jaw
    canvas.ellipse(0.0, -0.12, w + 0.10, person.height, person.hair)
    if person.long_hair:
        canvas.area(
            [(-w - 0.1, 0.0), (w + 0.1, 0.0), (w + 0.15, 1.0), (-w - 0.15, 1.0)], person.hair
        )
    canvas.ellipse(0.0, 0.06 + longer, w, person.height + longer, person.skin)
    if person.beard:
        canvas.ellipse(0.0, 0.62, 0.75 * w, person.height + 2 * longer - 0.55, person.hair)
        canvas.ellipse(0.0, 0.42, 0.55 * w, 0.2, person.skin)
    top = -person.height
    fringe = [(-w, top + 0.3), (0.0, top), (w, top + 0.3), (0.8 * w, -person.fringe - 0.1)]
    canvas.area([*fringe, (-0.8 * w, -person.fringe - 0.1)], person.hair)


def _eye(canvas: Canvas, person: Person, expression: Expression, side: int) -> None:
    x, y, r = side * person.eye_gap, -0.12, person.eye
    openness = r * (0.55 + 0.4 * max(expression.lids, 0) + 0.38 * min(expression.lids, 0))
    canvas.ellipse(x, y, r * 1.15, openness + 0.02, _darker(person.skin))
    canvas.ellipse(x, y, r, openness, (250, 250, 250))
    iris = min(0.55 * r, openness)
    canvas.ellipse(x, y, iris, iris, person.iris)
    if person.glasses:
        canvas.ring(x, y, 0.21, 0.03, (30, 30, 30))


def _brow(canvas: Canvas, person: Person, expression: Expression, side: int) -> None:
    y = -0.36 - 0.13 * expression.brows
    inner = (side * (person.eye_gap - 0.13), y + 0.12 * expression.frown)
    outer = (side * (person.eye_gap + 0.16), y - 0.03 * expression.frown + 0.02)
    canvas.line([inner, outer], person.brow, _darker(person.hair, 0.8))


def _nose(canvas: Canvas, person: Person, expression: Expression) -> None:
    end, shade = 0.02 + person.nose - 0.05 * expression.sneer, _darker(person.skin, 0.8)
    canvas.line([(-0.02, -0.1), (-0.07, end), (0.07, end)], 0.03, shade)
    if expression.sneer > 0:
        for side in (-1, 1):
            fold = [(side * 0.1, end - 0.02), (side * (0.12 + 0.12 * expression.sneer), end + 0.14)]
            canvas.line(fold, 0.025 * expression.sneer + 0.01, shade)


def _mouth(canvas: Canvas, person: Person, expression: Expression) -> None:
    half = person.mouth * (1 + 0.35 * expression.width)
    x = np.linspace(-1, 1, 17)
    corners = -0.13 * expression.smile * (x**2 - 0.5) - 0.15 * expression.smirk * np.clip(x, 0, 1)
    middle = 0.50 + corners
    arch = 1 - x**2
    upper = middle - (0.03 + 0.05 * expression.jaw + 0.08 * expression.sneer) * arch
    lower = middle + (0.03 + 0.24 * expression.jaw) * arch
    up: list[Point] = list(zip(x * half, upper, strict=True))
    down: list[Point] = list(zip(x * half, lower, strict=True))
    canvas.area([*up, *reversed(down)], (70, 15, 20) if expression.jaw > 0.1 else MOUTH)
    if expression.smile > 0 or expression.sneer > 0:
        teeth = [(px, py + 0.05 * (1 - (px / half) ** 2)) for px, py in up]
        canvas.area([*up, *reversed(teeth)], (250, 250, 245))
    canvas.line(up, 0.035, MOUTH)
    canvas.line(down, 0.035, MOUTH)
