"""ICT-FaceKit's people in sittings: one light, one pose, one background, all eight emotions.

Two pictures of a sitting differ in the expression alone, so either is the exact truth of giving the
other's person its expression. Equal ways of an emotion are the same weights of the same shapes on
whoever shows them: another person's picture of that way is a driver whose truth is known.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from registry.catalog import EMOTIONS, PIX2PIXHD
from training.datasets.source import Picture, Reading
from training.datasets.synthetic import ict
from training.datasets.synthetic.expressions import chance, expression
from training.datasets.synthetic.head import FACE, Head
from training.datasets.synthetic.rendering import Light, Mesh, projected, render, turned

PERSONS = {
    "train": (*range(110), *range(150, 350)),
    "validation": range(110, 125),
    "test": range(125, 150),
}
"""The same people as in `ict` keep the same split; training has 200 more."""
SITTINGS = 2
WAYS = 24
"""Ways to show each emotion: which of its prototypes, how strongly, and what moves besides."""
SIZE_PX = 160
FORWARD, EVERY = 6.0, 8
"""Depth of the mesh from which on the face looks forward, and which of its vertices are points."""


def read(path: Path | None) -> Reading:
    """Return the set from ICT-FaceKit's head: the file ict_deltas.npz or its folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = ict.rendered(path, "ict-pairs", portrait)
    return Reading(
        source=source,
        pictures=[
            _picture(split, f"ict{person:03d}_{sitting}", emotion)
            for split, persons in PERSONS.items()
            for person in persons
            for sitting in range(SITTINGS)
            for emotion in EMOTIONS
        ],
        framing=PIX2PIXHD.crop.margin,
        points=lambda member: points(Head.load(source.path), member),
        notes=[
            "Rendered heads: no hair, lashes or wrinkles, and expressions by prototypes.",
            f"Each person sits {SITTINGS} times for all emotions, in one pose and one light.",
        ],
    )


def way(name: str) -> str:
    """Return what a picture shows, the same word for the same weights: happy_07."""
    return name.split("_", 2)[2]


def portrait(
    head: Head, name: str, size_px: int = SIZE_PX, margin: float = PIX2PIXHD.crop.margin
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the picture of a name, RGB; equal names give equal pixels.

    Args:
        head: the mesh.
        name: ictPERSON_SITTING_EMOTION_WAY, like ict017_1_happy_07.
        size_px: side of the square picture.
        margin: what the picture adds to the face's own square; see `CropSpec`.
    """
    person = name.partition("_")[0]
    vertices, framing, lamp, behind = _scene(head, name, size_px, margin)
    mesh = Mesh(
        vertices=vertices,
        quads=head.quads,
        albedo=ict.painted(head, person),
        gloss=head.gloss,
        openness=head.openness,
    )
    return render(mesh, framing, lamp, behind)


def points(head: Head, name: str) -> Float[np.ndarray, "points 2"]:
    """Return where points of the face lie in the picture of a name, x and y in sides of it.

    The same points in every picture: what looks forward of the face's skin, every eighth vertex.
    """
    vertices, framing, _, _ = _scene(head, name, SIZE_PX, PIX2PIXHD.crop.margin)
    forward = np.flatnonzero(head.neutral[FACE, 2] > FORWARD)[::EVERY]
    seen = projected(vertices[forward])
    return np.asarray((seen @ framing[:, :2].T + framing[:, 2]) / SIZE_PX, dtype=np.float64)


def _scene(
    head: Head, name: str, size_px: int, margin: float
) -> tuple[
    Float[np.ndarray, "v 3"], Float[np.ndarray, "2 3"], Light, Float[np.ndarray, "size size"]
]:
    """Return the shaped and turned head, the map to the picture, the light and what is behind."""
    person, sitting, emotion, _ = name.split("_")
    rng = chance(person, "sitting", sitting)
    yaw, pitch = _pose(person, sitting)
    lamp, behind = ict.light(rng), ict.background(rng, size_px)
    who = ict.coefficients(head, person)
    at_rest = turned(head.shape(who, {}), yaw, pitch)
    framing = ict.framing(head, at_rest, rng, size_px / (1 + margin), size_px)
    shown = expression(head, emotion, way(name))
    return turned(head.shape(who, shown), yaw, pitch), framing, lamp, behind


def _pose(person: str, sitting: str) -> tuple[float, float]:
    """Return yaw and pitch of a sitting in degrees."""
    rng = chance(person, "pose", sitting)
    return float(rng.uniform(-ict.YAW, ict.YAW)), float(rng.uniform(-ict.PITCH, ict.PITCH))


def _picture(split: str, sitting: str, emotion: str) -> Picture:
    number = int(chance(sitting, emotion).integers(WAYS))
    name = f"{sitting}_{emotion}_{number:02d}"
    person, count = sitting.split("_")
    return Picture(
        member=name,
        name=name,
        split=split,
        person=person,
        emotion=EMOTIONS.index(emotion),
        angle=round(_pose(person, count)[0], 3),
    )
