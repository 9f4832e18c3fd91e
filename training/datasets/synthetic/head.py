"""ICT-FaceKit's morphable head: identity and expression as vertices and colours.

Lengths are in the mesh's own unit (about a centimetre); x runs to the head's left, y up, z forward.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int

from training.datasets.prepared import PreparedError

FILE = "ict_deltas.npz"
ARRAYS = ("neutral", "faces", "identity", "expression", "expression_names")
FACE, HEAD, MOUTH, SOCKETS = (
    slice(0, 9409),
    slice(0, 11248),
    slice(11248, 13294),
    slice(13294, 14062),
)
GUMS, TEETH = slice(14062, 17039), slice(17039, 21451)
EYES = {"L": slice(21451, 22221), "R": slice(23021, 23791)}
"""Outer shells, with the cornea; the inner ones are behind them."""
HIDDEN = (slice(22221, 23021), slice(23791, 26719))
"""Inner eyes; then fluid, blend, occlusion and lashes, which need transparency."""
GAZE_DEGREES = 28.0
"""Degrees by which an eye turns at full weight."""
LIPS_MEET = -3.45
"""Height of the line between the lips, on the neutral head."""
BROW = np.array([[0.9, 4.95], [2.0, 5.5], [3.4, 5.95], [4.7, 5.75], [5.7, 5.0]])
"""Middle line of the left brow, x and y on the neutral head."""


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Colours of a person, sRGB in [0, 1], and sizes of brows, hair and beard."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    lips: float
    """Redness, 0 to 1."""
    brows: float
    """Half height of the brows, in the mesh's unit."""
    hairline: float
    """Height at which hair begins above the forehead, in the mesh's unit."""
    beard: float
    """Opacity of a beard's shade, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Head:
    """The neutral mesh and the offsets of identities and expressions; load it with `Head.load`."""

    neutral: Float[np.ndarray, "vertices 3"]
    quads: Int[np.ndarray, "quads 4"]
    """Corners of the faces of the mesh that are drawn."""
    identity: Float[np.ndarray, "components vertices 3"]
    expression: Float[np.ndarray, "shapes vertices 3"]
    names: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Return the head in the file `path`, or in the ict_deltas.npz of that folder.

        Raises:
            PreparedError: there is no such file, or it holds something else.
        """
        return _loaded(path / FILE if path.is_dir() else path)

    def neutral_face(
        self, coefficients: Float[np.ndarray, "components"]
    ) -> Float[np.ndarray, "v 3"]:
        """Return the vertices of a person without expression; see `shape` for `coefficients`."""
        return self.neutral + np.tensordot(coefficients.astype(np.float32), self.identity, 1)

    def shape(
        self, coefficients: Float[np.ndarray, "components"], weights: Mapping[str, float]
    ) -> Float[np.ndarray, "v 3"]:
        """Return the vertices of a person with an expression.

        Args:
            coefficients: those of the identity's components, in std of the scanned people.
            weights: weights of blendshapes by name; 1 is as far as the mesh was modelled.

        Raises:
            KeyError: there is no shape of that name.
        """
        vertices: np.ndarray = self.neutral_face(coefficients) + self.offsets(weights)
        for side, eye in EYES.items():
            vertices[eye] = _turn_eye(vertices[eye], side, weights)
        return vertices

    def offsets(self, weights: Mapping[str, float]) -> Float[np.ndarray, "v 3"]:
        """Return the offset of each vertex by an expression; see `shape` for `weights`."""
        shapes = self.expression[[self.shape_index[name] for name in weights]]
        return np.tensordot(np.array(list(weights.values()), np.float32), shapes, 1)

    @cached_property
    def shape_index(self) -> dict[str, int]:
        """Index of each blendshape in `expression` by its name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def lips(self) -> Float[np.ndarray, "vertices"]:
        """How much each vertex belongs to the lips, 0 to 1."""
        x, y, z = self.neutral.T
        along = (1 - (x / 2.5) ** 2).clip(0.02, 1)
        dip = 0.12 * np.exp(-((x / 0.35) ** 2))
        off = np.where(y > LIPS_MEET, (y - LIPS_MEET) / (0.75 * along**0.7 - dip), 0)
        off = np.where(y < LIPS_MEET, (LIPS_MEET - y) / (1.05 * along**0.7), off)
        lips: np.ndarray = (
            (1 - _smoothstep(off, 0.85, 1.15)) * self._within(FACE) * (z > 0) * (np.abs(x) < 2.5)
        )
        return lips

    @cached_property
    def lids(self) -> dict[str, Float[np.ndarray, "vertices"]]:
        """How much each vertex belongs to the edges of an eye's lids, 0 to 1, by side."""
        return {
            side: _smoothstep(self._movement(f"eyeBlink_{side}"), 0.8, 0.95) * self._within(FACE)
            for side in "LR"
        }

    def landmarks(self, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "3 3"]:
        """Return the positions of right eye, left eye and mouth in a head's vertices."""
        eyes = [self._eye(vertices, side) for side in "RL"]
        return np.stack([*eyes, np.average(vertices, 0, self.lips)])

    def _eye(self, vertices: np.ndarray, side: str) -> Float[np.ndarray, "3"]:
        ball = vertices[EYES[side]]
        if len(ball):
            return np.append(ball[:, :2].mean(0), ball[:, 2].max())
        middle: np.ndarray = np.average(vertices, 0, self.lids[side])
        return middle

    def paint(self, appearance: Appearance) -> Float[np.ndarray, "vertices 3"]:
        """Return each vertex's albedo, sRGB in [0, 1]."""
        skin, hair = np.array(appearance.skin), np.array(appearance.hair)
        color = np.tile(skin, (len(self.neutral), 1))
        red = skin * (0.93, 0.58, 0.58) + (0.04, 0.0, 0.01)
        layers = [
            (0.35 * self._blush, skin * (1.0, 0.75, 0.72)),
            (appearance.beard * self._beard, 0.5 * skin + 0.5 * hair),
            ((0.45 + 0.5 * appearance.lips) * self.lips, red),
            (0.9 * self._brows(appearance.brows), 0.8 * hair),
            (self._hair(appearance.hairline), hair),
            (0.75 * np.maximum(self.lids["L"], self.lids["R"]), 0.25 * skin),
            (self._within(SOCKETS), skin * (0.7, 0.5, 0.5)),
            (self._within(MOUTH), np.array([0.35, 0.13, 0.13])),
            (self._within(GUMS), np.array([0.66, 0.33, 0.33])),
            (self._within(TEETH), np.array([0.93, 0.90, 0.84])),
            *self._eyes(appearance),
        ]
        for amount, over in layers:
            color += amount[:, None] * (over - color)
        return color.clip(0, 1)

    @cached_property
    def gloss(self) -> Float[np.ndarray, "vertices"]:
        """How strongly each vertex reflects the light, 0 to 1."""
        wet = self._within(TEETH) + sum(self._within(eye) for eye in EYES.values())
        return 0.12 + 0.15 * self.lips + 0.6 * wet

    @cached_property
    def openness(self) -> Float[np.ndarray, "vertices"]:
        """How much light reaches each vertex, 0 to 1: little inside the mouth, 0.8 at the eyes."""
        inside = self._within(MOUTH) + self._within(GUMS) + self._within(TEETH)
        depth = _smoothstep(self.neutral[:, 2], 7.5, 10.8)
        shade = 0.15 + 0.8 * depth - 0.3 * self._within(MOUTH) * depth
        eyes = sum(self._within(eye) for eye in EYES.values())
        reached: np.ndarray = 1 - inside * (1 - shade) - 0.2 * eyes
        return reached

    def _within(self, part: slice) -> Float[np.ndarray, "vertices"]:
        inside = np.zeros(len(self.neutral))
        inside[part] = 1
        return inside

    def _movement(self, name: str) -> Float[np.ndarray, "vertices"]:
        """Return how far a shape moves each vertex, as a part of the face's largest movement."""
        far = np.linalg.norm(self.expression[self.shape_index[name]], axis=1)
        part: np.ndarray = far / max(far[FACE].max(), 1e-9)
        return part

    def _brows(self, half: float) -> Float[np.ndarray, "vertices"]:
        x, y = np.abs(self.neutral[:, 0]), self.neutral[:, 1]
        along = np.interp(x, *BROW.T)
        taper = 1 - 0.5 * _smoothstep(x, 3.5, 5.7)
        ends = _smoothstep(x, 0.6, 1.2) * (1 - _smoothstep(x, 5.4, 6.0))
        off = np.abs(y - along) / (half * taper)
        brows: np.ndarray = (
            (1 - _smoothstep(off, 0.6, 1.4)) * ends * self._within(FACE) * (self.neutral[:, 2] > 0)
        )
        return brows

    def _hair(self, line: float) -> Float[np.ndarray, "vertices"]:
        """Return how much each vertex belongs to the scalp: above a line that falls at the ears."""
        x, y, z = self.neutral.T
        front = line - 0.05 * x**2
        scalp: np.ndarray = _smoothstep(
            y + 0.6 * np.maximum(0, 4 - z), front, front + 0.8
        ) * self._within(HEAD)
        return scalp

    @cached_property
    def _blush(self) -> Float[np.ndarray, "vertices"]:
        x, y, z = self.neutral.T
        cheeks = np.exp(-((np.abs(x) - 4.3) ** 2 + (y - 0.2) ** 2) / 5)
        nose = np.exp(-(x**2 + (y - 0.3) ** 2) / 1.5)
        blush: np.ndarray = np.maximum(cheeks, nose) * self._within(FACE) * (z > 0)
        return blush

    @cached_property
    def _beard(self) -> Float[np.ndarray, "vertices"]:
        x, y, z = self.neutral.T
        chin = 1 - _smoothstep(y, -3.0 + 0.04 * x**2, -1.2 + 0.04 * x**2)
        beard: np.ndarray = chin * (1 - self.lips) * self._within(FACE) * (z > 0)
        return beard

    def _eyes(
        self, appearance: Appearance
    ) -> list[tuple[Float[np.ndarray, "vertices"], np.ndarray]]:
        """Return white, rim, iris and pupil: rings about the foremost point of each eye."""
        layers = []
        for eye in EYES.values():
            inside, ball = self._within(eye), self.neutral[eye]
            if not len(ball):
                continue
            middle = 0.5 * (ball.min(0) + ball.max(0))
            off = np.linalg.norm((self.neutral - middle)[:, :2], axis=1)
            off = np.where(self.neutral[:, 2] > middle[2], off, 9)
            iris = np.array(appearance.iris)
            layers += [
                (inside, np.array([0.90, 0.88, 0.86])),
                (inside * (1 - _smoothstep(off, 0.58, 0.72)), 0.45 * iris),
                (inside * (1 - _smoothstep(off, 0.48, 0.58)), iris),
                (inside * (1 - _smoothstep(off, 0.22, 0.32)), np.full(3, 0.02)),
            ]
        return layers


@lru_cache(maxsize=2)
def _loaded(file: Path) -> Head:
    if not file.is_file():
        raise PreparedError(f"There is no {file}; name the ict folder, the one with {FILE}.")
    try:
        with np.load(file) as opened:
            arrays = {name: opened[name] for name in ARRAYS}
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise PreparedError(f"{file} isn't the head of ict: use ICT-FaceKit's {FILE}.") from error
    faces = arrays["faces"]
    visible = np.ones(len(arrays["neutral"]), bool)
    for part in HIDDEN:
        visible[part] = False
    return Head(
        neutral=arrays["neutral"].astype(np.float32),
        quads=faces[visible[faces].all(1)],
        identity=arrays["identity"].astype(np.float32),
        expression=arrays["expression"].astype(np.float32),
        names=tuple(map(str, arrays["expression_names"])),
    )


def _turn_eye(
    ball: Float[np.ndarray, "n 3"], side: str, weights: Mapping[str, float]
) -> Float[np.ndarray, "n 3"]:
    """Return an eye's vertices turned by the eyeLook weights: these shapes move only the lids."""
    if not len(ball):
        return ball
    directions = ("Up", "Down", "In", "Out")
    amounts = {each: weights.get(f"eyeLook{each}_{side}", 0.0) for each in directions}
    down = math.radians(GAZE_DEGREES) * (amounts["Down"] - amounts["Up"])
    left = math.radians(GAZE_DEGREES) * (amounts["Out"] - amounts["In"])
    left = left if side == "L" else -left
    middle = 0.5 * (ball.min(0) + ball.max(0))
    x, y, z = (ball - middle).T
    y, z = y * math.cos(down) - z * math.sin(down), z * math.cos(down) + y * math.sin(down)
    x, z = x * math.cos(left) + z * math.sin(left), z * math.cos(left) - x * math.sin(left)
    turned: np.ndarray = middle + np.stack([x, y, z], 1)
    return turned


def _smoothstep(
    value: Float[np.ndarray, "n"],
    low: float | Float[np.ndarray, "n"],
    high: float | Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Return 0 below `low`, 1 above `high`, and a cubic between."""
    part = ((value - low) / (high - low)).clip(0, 1)
    step: np.ndarray = part * part * (3 - 2 * part)
    return step
