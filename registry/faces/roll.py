"""Which side of a found face is up: close looks at its level crop, and at that crop turned.

FAR takes a face that lies or stands on its head for an upright one, with its keypoints in the wrong
places. NEAR, looking at a level crop of the face, is surer the more upright the face is: over faces
that were turned by every 15 degrees its score was 0.87 or more where the keypoints were right, and
0.86 or less, or the roll it found far from level, where they were wrong by more than 40 degrees.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from registry.crops import level_square
from registry.faces.detectors import (
    FAR,
    FAR_INPUT_PX,
    NEAR,
    NEAR_INPUT_PX,
    DetectorInput,
    Detectors,
)
from registry.faces.face import Face

CLOSE, AROUND = 1.6, 4.0
"""Sides of the squares that NEAR and FAR look at, in sides of the bare face."""
CONFIRMED = 0.85
"""Score of NEAR from which on a level face counts as confirmed."""
LEAST = 0.75
"""Score of NEAR below which a face that only a tile shows is left out."""
CLEARLY = 0.1
"""By so much NEAR's score has to be higher for another side of a face to be up than FAR found."""
UPRIGHT = 30.0
"""Degrees of roll up to which FAR's keypoints are as good as NEAR's."""
KEPT_DEGREES = 20.0
"""Up to this difference from NEAR's, the roll of an upright face is left as FAR found it."""
LEVEL, LYING = 8.0, 45.0
"""Degrees of roll up to which a crop counts as level, and from which on as one of a lying face."""
LOOKS = 3


class RollCheck:
    """Looks again at faces of one photo."""

    def __init__(self, photo: UInt8[np.ndarray, "h w 3"], detectors: Detectors) -> None:
        self._photo, self._detectors = photo, detectors

    def checked(
        self, faces: Sequence[Face], up: float = 0.0, kept_within: float = KEPT_DEGREES
    ) -> list[Face]:
        """Return the faces; those with a wrong roll get other keypoints.

        A face that was found upright, and is confirmed, keeps its keypoints.

        Args:
            faces: what FAR or NEAR found.
            up: the roll in degrees that an upright face had where they looked.
            kept_within: differences of roll in degrees that are left as they are.
        """
        looks = self._closely(faces, [0.0] * len(faces))
        return [
            self._checked(face, look, kept_within if _near(face.angle, up, UPRIGHT) else 0.0)
            for face, look in zip(faces, looks, strict=True)
        ]

    def confirmed(self, faces: Sequence[Face]) -> list[Face]:
        """Return the faces of which a close look shows the same: a first, quick check."""
        looks = self._closely(faces, [0.0] * len(faces))
        return [
            face
            for face, look in zip(faces, looks, strict=True)
            if look and look.confidence >= LEAST and _near(look.angle, face.angle, LYING)
        ]

    def _checked(self, face: Face, look: Face | None, kept_within: float) -> Face:
        looks = [look] if look else []
        if not look or look.confidence < CONFIRMED or not _near(look.angle, face.angle, LYING):
            looks = self._turned_looks(face)
        own = _best(look for look in looks if _near(look.angle, face.angle, KEPT_DEGREES))
        best, score = _best(looks), own.confidence if own else 0.0
        if best is None or (best is not own and best.confidence < score + CLEARLY):
            return replace(face, uncertain_roll=True, roll_confidence=score)
        if best is own and (score < CONFIRMED or _near(own.angle, face.angle, kept_within)):
            return replace(face, roll_confidence=score)
        level = self._levelled(best)
        if level.confidence < CONFIRMED:
            return replace(face, uncertain_roll=True, roll_confidence=score)
        return replace(self._from_around(level), roll_confidence=level.confidence)

    def _turned_looks(self, face: Face) -> list[Face]:
        looks = self._closely([face] * 4, [0.0, 90.0, 180.0, 270.0])
        return [look for look in looks if look]

    def _levelled(self, face: Face) -> Face:
        """Return what NEAR finds in the face's level crop; again until that is level."""
        for _ in range(LOOKS):
            (look,) = self._closely([face], [0.0])
            if look is None or look.confidence < LEAST <= face.confidence:
                break
            before, face = face, look
            if _near(look.angle, before.angle, LEVEL):
                break
        return face

    def _from_around(self, face: Face) -> Face:
        """Return the face as FAR finds it in a level photo, or as it is where FAR doesn't."""
        given = self._square(face, AROUND, 0.0, 2 * FAR_INPUT_PX)
        (found,) = self._detectors.faces([given], FAR, self._photo.shape)
        look = _at_centre(face, found)
        return look if look and _near(look.angle, face.angle, KEPT_DEGREES) else face

    def _closely(self, faces: Sequence[Face], turns: Sequence[float]) -> list[Face | None]:
        """Return what NEAR finds in each face's level crop, turned by so many degrees."""
        inputs = self._detectors.map(
            lambda face, turn: self._square(face, CLOSE, turn, NEAR_INPUT_PX), faces, turns
        )
        found = self._detectors.faces(inputs, NEAR, self._photo.shape)
        return [_at_centre(face, looks) for face, looks in zip(faces, found, strict=True)]

    def _square(self, face: Face, sides: float, turn: float, size: int) -> DetectorInput:
        return DetectorInput(
            *level_square(self._photo, face.centre, sides * face.side, face.angle + turn, size)
        )


def _near(angle: float, other: float, degrees: float) -> bool:
    return abs((angle - other + 180) % 360 - 180) <= degrees


def _at_centre(face: Face, found: Sequence[Face]) -> Face | None:
    """Return the most confident of the found faces that lie where `face` lies, if there is one."""
    return _best(look for look in found if _distance(look, face) < face.side / 2)


def _best(looks: Iterable[Face]) -> Face | None:
    return max(looks, key=lambda look: look.confidence, default=None)


def _distance(look: Face, face: Face) -> float:
    return float(np.linalg.norm(np.subtract(look.centre, face.centre)))
