"""ICT-FaceKit's people in sessions: one light, one pose, one background, all eight emotions.

Two pictures of a session differ only in the expression, so each is the exact target of a transfer
of its expression to the other. Each emotion is shown in VARIANTS variants, and the same variant has
the same blendshape weights on every person: another person's picture of it is a driver whose target
is known.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from registry.catalog import EMOTIONS, PIX2PIXHD
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.synthetic import ict
from training.datasets.synthetic.expressions import draw_weights, rng_for
from training.datasets.synthetic.head import FACE, Head
from training.datasets.synthetic.rendering import Light, Mesh, project, render, rotate

PERSONS = {
    "train": (*range(110), *range(150, 350)),
    "validation": range(110, 125),
    "test": range(125, 150),
}
"""The same people as in `ict` keep the same split; training has 200 more."""
SESSIONS = 2
"""Sessions of each person."""
VARIANTS = 24
"""Variants of each emotion: prototype, strength and noise."""
SIZE_PX = 160
FRONT_DEPTH = 6.0
"""Vertices deeper than this are the front of the face, in the mesh's unit; z grows forward."""
POINT_STEP = 8
"""One of so many vertices of the front of the face is a point."""


def read(path: Path | None) -> RawDataset:
    """Return the set from ICT-FaceKit's head: the file ict_deltas.npz or its folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = ict.open_head(path, "ict-pairs", portrait)
    return RawDataset(
        source=source,
        pictures=[
            _picture(split, f"ict{person:03d}_{session}", emotion)
            for split, persons in PERSONS.items()
            for person in persons
            for session in range(SESSIONS)
            for emotion in EMOTIONS
        ],
        cropped_margin=PIX2PIXHD.crop.margin,
        points=lambda member: points(Head.load(source.path), member),
        notes=[
            "Rendered heads: no hair, lashes or wrinkles, and expressions by prototypes.",
            f"Each person has {SESSIONS} sessions with all emotions, in one pose and light each.",
        ],
    )


def expression_of(name: str) -> str:
    """Return emotion and variant of a picture, such as happy_07: equal for equal weights."""
    return name.split("_", 2)[2]


def portrait(
    head: Head, name: str, size_px: int = SIZE_PX, margin: float = PIX2PIXHD.crop.margin
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the picture with this name, RGB; equal names give equal pixels.

    Args:
        head: the mesh.
        name: ictPERSON_SESSION_EMOTION_VARIANT, like ict017_1_happy_07.
        size_px: side of the square picture.
        margin: margin of the picture around the face's square; see `CropSpec`.
    """
    person = name.partition("_")[0]
    vertices, to_crop, light, background = _draw_scene(head, name, size_px, margin)
    mesh = Mesh(
        vertices=vertices,
        quads=head.quads,
        albedo=ict.paint(head, person),
        gloss=head.gloss,
        openness=head.openness,
    )
    return render(mesh, to_crop, light, background)


def points(head: Head, name: str) -> Float[np.ndarray, "points 2"]:
    """Return points of the face in the picture with this name, x and y as fractions of its side.

    They are the same in every picture: every eighth vertex of the front of the face.
    """
    vertices, to_crop, _, _ = _draw_scene(head, name, SIZE_PX, PIX2PIXHD.crop.margin)
    front = np.flatnonzero(head.neutral[FACE, 2] > FRONT_DEPTH)[::POINT_STEP]
    placed = project(vertices[front])
    return np.asarray((placed @ to_crop[:, :2].T + to_crop[:, 2]) / SIZE_PX, dtype=np.float64)


def _draw_scene(
    head: Head, name: str, size_px: int, margin: float
) -> tuple[
    Float[np.ndarray, "v 3"], Float[np.ndarray, "2 3"], Light, Float[np.ndarray, "size size"]
]:
    """Return the turned head's vertices, the map to pixels, the light and the background."""
    person, session, emotion, _ = name.split("_")
    rng = rng_for(person, "sitting", session)
    yaw, pitch = _draw_pose(person, session)
    light, background = ict.draw_light(rng), ict.draw_background(rng, size_px)
    identity = ict.draw_identity(head, person)
    neutral = rotate(head.shape(identity, {}), yaw, pitch)
    to_crop = ict.draw_placement(head, neutral, rng, size_px / (1 + margin), size_px)
    weights = draw_weights(head, emotion, expression_of(name))
    return rotate(head.shape(identity, weights), yaw, pitch), to_crop, light, background


def _draw_pose(person: str, session: str) -> tuple[float, float]:
    """Return yaw and pitch of a session in degrees."""
    rng = rng_for(person, "pose", session)
    yaw = float(rng.uniform(-ict.LARGEST_YAW, ict.LARGEST_YAW))
    return yaw, float(rng.uniform(-ict.LARGEST_PITCH, ict.LARGEST_PITCH))


def _picture(split: str, session: str, emotion: str) -> PictureRecord:
    variant = int(rng_for(session, emotion).integers(VARIANTS))
    name = f"{session}_{emotion}_{variant:02d}"
    person, number = session.split("_")
    return PictureRecord(
        member=name,
        name=name,
        split=split,
        person=person,
        emotion=EMOTIONS.index(emotion),
        angle=round(_draw_pose(person, number)[0], 3),
    )
