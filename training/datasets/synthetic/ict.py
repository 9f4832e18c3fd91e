"""People rendered from ICT-FaceKit's morphable head: who it is and what it shows are known exactly.

ICT-FaceKit's light model is MIT licensed (Li et al., Learning Formation of Physically-Based Face
Attributes, CVPR 2020). The expressions are prototypes in its blendshapes, after the action units
that Ekman and Friesen's manual names for each emotion; people show them in more ways than these.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from registry.catalog import DLN, EMOTIONS
from registry.faces import Face
from training.datasets.prepared import PreparedError
from training.datasets.source import Picture, Reading
from training.datasets.synthetic.expressions import chance, expression, strength
from training.datasets.synthetic.head import Head, Looks
from training.datasets.synthetic.rendering import Light, Mesh, projected, render, turned

PERSONS = {"train": range(110), "validation": range(110, 125), "test": range(125, 150)}
SIZE_PX = 112
VOTERS = 10
IDENTITY = 0.9
"""Standard deviation of the identity's coefficients; 1 is the spread of the people scanned."""
FOUND_SIDE = 0.97
"""What FaceCropper finds of the side that the landmarks give: the median of 80 wide renders."""
YAW, PITCH = 25.0, 12.0
"""Degrees by which a head turns and nods at the most."""
SKINS = (
    (0.95, 0.80, 0.71),
    (0.88, 0.69, 0.57),
    (0.77, 0.57, 0.44),
    (0.58, 0.40, 0.30),
    (0.38, 0.26, 0.20),
)
HAIRS = (
    (0.08, 0.06, 0.05),
    (0.24, 0.15, 0.09),
    (0.42, 0.28, 0.16),
    (0.70, 0.56, 0.36),
    (0.45, 0.20, 0.10),
    (0.55, 0.54, 0.53),
)
IRISES = (
    (0.26, 0.15, 0.08),
    (0.38, 0.25, 0.13),
    (0.33, 0.45, 0.58),
    (0.36, 0.44, 0.30),
    (0.45, 0.48, 0.50),
)


@dataclass(frozen=True)
class Rendered:
    """Renders the picture that a member names, with the head kept at `path`."""

    path: Path
    portrait: Callable[[Head, str], np.ndarray]

    def read(self, member: str) -> bytes:
        """Return the picture as BMP: equal bytes for equal pixels.

        Raises:
            PreparedError: the head can't be read.
        """
        content = io.BytesIO()
        Image.fromarray(self.portrait(Head.load(self.path), member)).save(content, "BMP")
        return content.getvalue()


def rendered(
    path: Path | None, set_name: str, portrait: Callable[[Head, str], np.ndarray]
) -> Rendered:
    """Return the pictures that `portrait` renders of the head in ict_deltas.npz or its folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    if path is None:
        raise PreparedError(
            f"The set {set_name} needs its source: name the folder of ict_deltas.npz."
        )
    Head.load(path)
    return Rendered(path, portrait)


def read(path: Path | None) -> Reading:
    """Return the set from ICT-FaceKit's head: the file ict_deltas.npz or its folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = rendered(path, "ict", portrait)
    pictures = [
        _picture(split, person, emotion, variant)
        for split, persons in PERSONS.items()
        for person in persons
        for emotion in EMOTIONS
        for variant in range(_variants(person, emotion))
    ]
    return Reading(
        source=source,
        pictures=pictures,
        framing=DLN.crop.margin,
        notes=["Rendered heads: no hair, lashes or wrinkles, and expressions by prototypes."],
    )


def portrait(
    head: Head, name: str, size_px: int = SIZE_PX, margin: float = DLN.crop.margin
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the picture of a name, RGB; equal names give equal pixels.

    Args:
        head: the mesh.
        name: ictPERSON_EMOTION_VARIANT, like ict017_happy_1.
        size_px: side of the square picture.
        margin: what the picture adds to the face's own square; see `CropSpec`.
    """
    person, emotion, _ = name.split("_")
    rng = chance(name)
    vertices = turned(
        head.shape(coefficients(head, person), expression(head, emotion, name)),
        float(rng.uniform(-YAW, YAW)),
        float(rng.uniform(-PITCH, PITCH)),
    )
    mesh = Mesh(
        vertices=vertices,
        quads=head.quads,
        albedo=painted(head, person),
        gloss=head.gloss,
        openness=head.openness,
    )
    lamp, behind = light(rng), background(rng, size_px)
    length = size_px / (1 + margin)
    return render(mesh, framing(head, vertices, rng, length, size_px), lamp, behind)


def coefficients(head: Head, person: str) -> Float[np.ndarray, "components"]:
    """Return who it is: the identity's coefficients, in standard deviations."""
    return IDENTITY * chance(person).standard_normal(len(head.identity))


def looks(person: str) -> Looks:
    """Return a person's colours."""
    rng = chance(person, "looks")
    tone = float(rng.uniform(0, len(SKINS) - 1))
    fair = tone < 1.8
    skin = [np.interp(tone, range(len(SKINS)), channel) for channel in zip(*SKINS, strict=True)]
    hair = HAIRS[int(rng.integers(len(HAIRS) if fair else 2))]
    iris = IRISES[int(rng.integers(len(IRISES) if fair else 2))]
    red, green, blue = (float(level) for level in np.array(skin) * rng.uniform(0.95, 1.05, 3))
    return Looks(
        skin=(min(1.0, red), green, blue),
        hair=hair,
        iris=iris,
        lips=float(rng.uniform(0, 1)),
        brows=float(rng.uniform(0.26, 0.48)),
        hairline=float(rng.uniform(9.2, 11.5)),
        beard=max(0.0, float(rng.uniform(-0.9, 0.6))),
    )


@lru_cache(maxsize=4)
def painted(head: Head, person: str) -> Float[np.ndarray, "vertices 3"]:
    """Return a person's colour at each vertex, sRGB in [0, 1]."""
    return head.paint(looks(person))


def framing(
    head: Head,
    vertices: Float[np.ndarray, "v 3"],
    rng: np.random.Generator,
    length: float,
    size_px: int,
) -> Float[np.ndarray, "2 3"]:
    """Return the map that makes FaceCropper's square `length` px, moved and turned a little."""
    eyes_mouth = projected(head.landmarks(vertices))
    points = eyes_mouth[[0, 1, 2, 2, 0, 1]].astype(float)
    face = Face(box=(0.0, 0.0, 1.0, 1.0), keypoints=points, confidence=1.0)
    scale = length / (FOUND_SIDE * face.side * rng.uniform(0.97, 1.03))
    angle = np.radians(-face.angle + rng.uniform(-3, 3))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = 0.5 * size_px + length * rng.uniform(-0.02, 0.02, 2)
    return np.column_stack([turn, middle - turn @ np.array(face.centre)])


def light(rng: np.random.Generator) -> Light:
    """Return a lamp drawn by chance."""
    lamp = float(rng.uniform(0.4, 0.75))
    return Light(
        azimuth=float(rng.uniform(-60, 60)),
        elevation=float(rng.uniform(0, 50)),
        lamp=lamp,
        room=float(rng.uniform(1.0, 1.2)) - lamp,
    )


def background(rng: np.random.Generator, size_px: int) -> Float[np.ndarray, "size size"]:
    """Return grey levels that change softly in some direction."""
    level, change = rng.uniform(0.1, 0.9), rng.uniform(-0.15, 0.15, 2)
    way = np.linspace(-1, 1, size_px)
    levels: np.ndarray = (level + change[0] * way + change[1] * way[:, None]).clip(0, 1)
    return levels


def _picture(split: str, person: int, emotion: str, variant: int) -> Picture:
    """Describe a picture; as many of ten voters see its emotion as it is strong, others neutral."""
    name = f"ict{person:03d}_{emotion}_{variant}"
    seen = round(VOTERS * strength(emotion, name))
    votes = [0] * (len(EMOTIONS) + 2)
    votes[0] += VOTERS - seen
    votes[EMOTIONS.index(emotion)] += seen
    return Picture(
        member=name,
        name=name,
        split=split,
        person=f"ict{person:03d}",
        emotion=EMOTIONS.index(emotion),
        votes=tuple(votes),
    )


def _variants(person: int, emotion: str) -> int:
    """Return 3 for every other emotion, 2 for the rest: 20 pictures of each person."""
    return 2 + (person + EMOTIONS.index(emotion)) % 2
