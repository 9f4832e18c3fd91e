"""People rendered from ICT-FaceKit's morphable head: identity and expression are known exactly.

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
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.synthetic.expressions import draw_weights, expression_strength, rng_for
from training.datasets.synthetic.head import Appearance, Head
from training.datasets.synthetic.rendering import Light, Mesh, project, render, rotate

PERSONS = {"train": range(110), "validation": range(110, 125), "test": range(125, 150)}
SIZE_PX = 112
VOTERS = 10
IDENTITY_STD = 0.9
"""Std of the identity's coefficients; 1 is that of the scanned people."""
FOUND_SIDE = 0.97
"""Ratio of a face's side found by FaceCropper to its side from the mesh's landmarks: the median of
80 wide renders."""
LARGEST_YAW, LARGEST_PITCH = 25.0, 12.0
"""Degrees by which a head is turned to a side or nodded."""
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
    """Renders the picture that a member names, with the head in `path`."""

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


def open_head(
    path: Path | None, set_name: str, portrait: Callable[[Head, str], np.ndarray]
) -> Rendered:
    """Return a source of pictures, rendered by `portrait` from the head in ict_deltas.npz.

    Args:
        path: the file or its folder.
        set_name: name of the set, for messages.
        portrait: returns the picture for a head and a name.

    Raises:
        PreparedError: `path` holds something else.
    """
    if path is None:
        raise PreparedError(
            f"The set {set_name} needs its source: name the folder of ict_deltas.npz."
        )
    Head.load(path)
    return Rendered(path, portrait)


def read(path: Path | None) -> RawDataset:
    """Return the set from ICT-FaceKit's head: the file ict_deltas.npz or its folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = open_head(path, "ict", portrait)
    pictures = [
        _picture(split, person, emotion, variant)
        for split, persons in PERSONS.items()
        for person in persons
        for emotion in EMOTIONS
        for variant in range(_variants(person, emotion))
    ]
    return RawDataset(
        source=source,
        pictures=pictures,
        cropped_margin=DLN.crop.margin,
        notes=["Rendered heads: no hair, lashes or wrinkles, and expressions by prototypes."],
    )


def portrait(
    head: Head, name: str, size_px: int = SIZE_PX, margin: float = DLN.crop.margin
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the picture with this name, RGB; equal names give equal pixels.

    Args:
        head: the mesh.
        name: ictPERSON_EMOTION_VARIANT, like ict017_happy_1.
        size_px: side of the square picture.
        margin: margin of the picture around the face's square; see `CropSpec`.
    """
    person, emotion, _ = name.split("_")
    rng = rng_for(name)
    vertices = rotate(
        head.shape(draw_identity(head, person), draw_weights(head, emotion, name)),
        float(rng.uniform(-LARGEST_YAW, LARGEST_YAW)),
        float(rng.uniform(-LARGEST_PITCH, LARGEST_PITCH)),
    )
    mesh = Mesh(
        vertices=vertices,
        quads=head.quads,
        albedo=paint(head, person),
        gloss=head.gloss,
        openness=head.openness,
    )
    light, background = draw_light(rng), draw_background(rng, size_px)
    side_px = size_px / (1 + margin)
    to_crop = draw_placement(head, vertices, rng, side_px, size_px)
    return render(mesh, to_crop, light, background)


def draw_identity(head: Head, person: str) -> Float[np.ndarray, "components"]:
    """Return the coefficients of a person's identity; equal persons give equal coefficients."""
    return IDENTITY_STD * rng_for(person).standard_normal(len(head.identity))


def draw_appearance(person: str) -> Appearance:
    """Return a person's colours; equal persons give equal colours."""
    rng = rng_for(person, "looks")
    tone = float(rng.uniform(0, len(SKINS) - 1))
    fair = tone < 1.8
    skin = [np.interp(tone, range(len(SKINS)), channel) for channel in zip(*SKINS, strict=True)]
    hair = HAIRS[int(rng.integers(len(HAIRS) if fair else 2))]
    iris = IRISES[int(rng.integers(len(IRISES) if fair else 2))]
    red, green, blue = (float(level) for level in np.array(skin) * rng.uniform(0.95, 1.05, 3))
    return Appearance(
        skin=(min(1.0, red), green, blue),
        hair=hair,
        iris=iris,
        lips=float(rng.uniform(0, 1)),
        brows=float(rng.uniform(0.26, 0.48)),
        hairline=float(rng.uniform(9.2, 11.5)),
        beard=max(0.0, float(rng.uniform(-0.9, 0.6))),
    )


@lru_cache(maxsize=4)
def paint(head: Head, person: str) -> Float[np.ndarray, "vertices 3"]:
    """Return a person's colour at each vertex, sRGB in [0, 1]."""
    return head.paint(draw_appearance(person))


def draw_placement(
    head: Head,
    vertices: Float[np.ndarray, "v 3"],
    rng: np.random.Generator,
    side_px: float,
    size_px: int,
) -> Float[np.ndarray, "2 3"]:
    """Return the map from projected points to pixels, with a small random shift, turn and scale.

    Args:
        head: the mesh.
        vertices: vertices of the rotated head.
        rng: draws shift, turn and scale.
        side_px: side of the square that FaceCropper should find.
        size_px: side of the picture.
    """
    eyes_mouth = project(head.landmarks(vertices))
    points = eyes_mouth[[0, 1, 2, 2, 0, 1]].astype(float)
    face = Face(box=(0.0, 0.0, 1.0, 1.0), keypoints=points, confidence=1.0)
    scale = side_px / (FOUND_SIDE * face.side * rng.uniform(0.97, 1.03))
    angle = np.radians(-face.angle + rng.uniform(-3, 3))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = 0.5 * size_px + side_px * rng.uniform(-0.02, 0.02, 2)
    return np.column_stack([turn, middle - turn @ np.array(face.centre)])


def draw_light(rng: np.random.Generator) -> Light:
    """Return a random light."""
    lamp = float(rng.uniform(0.4, 0.75))
    return Light(
        azimuth=float(rng.uniform(-60, 60)),
        elevation=float(rng.uniform(0, 50)),
        lamp=lamp,
        room=float(rng.uniform(1.0, 1.2)) - lamp,
    )


def draw_background(rng: np.random.Generator, size_px: int) -> Float[np.ndarray, "size size"]:
    """Return grey levels in [0, 1]: a linear gradient in a random direction."""
    level, change = rng.uniform(0.1, 0.9), rng.uniform(-0.15, 0.15, 2)
    place = np.linspace(-1, 1, size_px)
    levels: np.ndarray = (level + change[0] * place + change[1] * place[:, None]).clip(0, 1)
    return levels


def _picture(split: str, person: int, emotion: str, variant: int) -> PictureRecord:
    """Return a picture's record; the share of votes for its emotion is its strength."""
    name = f"ict{person:03d}_{emotion}_{variant}"
    count = round(VOTERS * expression_strength(emotion, name))
    votes = [0] * (len(EMOTIONS) + 2)
    votes[EMOTIONS.index("neutral")] += VOTERS - count
    votes[EMOTIONS.index(emotion)] += count
    return PictureRecord(
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
