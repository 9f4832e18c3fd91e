"""A face in a photo: its box, its keypoints, and the level square that they span."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from registry.photos import PhotoError

SIDE_IN_EYE_DISTANCES = 2.55
SIDE_IN_EYE_MOUTH_DISTANCES = 2.4
CENTRE_BELOW_EYES = 0.3


class NoFace(PhotoError):
    """A photo shows no face, or fewer faces than the number of the chosen one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """A face in a photo, in the photo's pixels.

    `box` is (left, top, right, bottom), clamped to the photo; `keypoints` are right eye, left eye,
    nose tip, mouth, right ear, left ear (the person's right and left). `uncertain_roll` is true
    where the looks at the face did not agree on which side of it is up: its crop may be turned.
    `roll_confidence` is the score of the close look that agrees with the roll, 0 where none does.
    """

    box: tuple[float, float, float, float]
    keypoints: Float[np.ndarray, "6 2"]
    confidence: float
    uncertain_roll: bool = False
    roll_confidence: float = 0.0

    def mapped(self, to_photo: Float[np.ndarray, "2 3"], shape: tuple[int, ...]) -> "Face":
        """Return the face of a part, mapped by `to_photo` into the photo of `shape` (h, w).

        Args:
            to_photo: maps (x, y, 1) to the photo's (x, y): a similarity, perhaps with scales of
                x and y that differ by rounding.
            shape: height and width of the photo.
        """
        turn, offset = to_photo[:, :2], to_photo[:, 2]
        low, high = np.array(self.box).reshape(2, 2)
        centre, size = turn @ ((low + high) / 2) + offset, high - low
        half = _extent(turn, size) / 2
        return replace(
            self,
            box=clamped(np.stack([centre - half, centre + half]), shape),
            keypoints=self.keypoints @ turn.T + offset,
        )

    @cached_property
    def _eyes(self) -> Float[np.ndarray, "2"]:
        middle: np.ndarray = self.keypoints[:2].mean(0)
        return middle

    @cached_property
    def _down(self) -> Float[np.ndarray, "2"]:
        down: np.ndarray = self.keypoints[3] - self._eyes
        return down

    @cached_property
    def angle(self) -> float:
        """Roll in degrees, clockwise in the picture.

        It is the direction of the sum of two vectors: from eye to eye, and from the eyes to the
        mouth turned by 90 degrees. They agree on a frontal face; on a head turned to the side
        the eyes are near each other, so the second counts more.
        """
        right = self.keypoints[1] - self.keypoints[0] + np.array([self._down[1], -self._down[0]])
        return math.degrees(math.atan2(right[1], right[0]))

    @cached_property
    def side(self) -> float:
        """Side of the bare face's square in pixels, by the eye distance or by eyes to mouth."""
        between = float(np.linalg.norm(self.keypoints[1] - self.keypoints[0]))
        down = float(np.linalg.norm(self._down))
        return max(SIDE_IN_EYE_DISTANCES * between, SIDE_IN_EYE_MOUTH_DISTANCES * down)

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Centre of the face's square, x and y: on the line from eyes to mouth."""
        x, y = self._eyes + CENTRE_BELOW_EYES * self._down
        return float(x), float(y)


def select_face(faces: Sequence[Face], index: int = 0) -> Face:
    """Return one of the faces of a photo; 0 is the first.

    Raises:
        NoFace: there is none, or there are fewer.
    """
    if not faces:
        raise NoFace("No face was found; take a photo that shows a face from the front.")
    if not 0 <= index < len(faces):
        found = "only one face was" if len(faces) == 1 else f"only {len(faces)} were"
        raise NoFace(f"There is no face {index + 1}: {found} found; choose another.")
    return faces[index]


def clamped(
    corners: Float[np.ndarray, "2 2"], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a box, cut off at the edges of a photo (h, w)."""
    (left, top), (right, bottom) = corners.clip(0, (shape[1], shape[0])).tolist()
    return left, top, right, bottom


def _extent(turn: Float[np.ndarray, "2 2"], size: Float[np.ndarray, "2"]) -> np.ndarray:
    """Return width and height of a box that was scaled and turned by the nearest quarter turn."""
    width, height = np.linalg.norm(turn, axis=0) * size
    lying = abs(turn[0, 0]) < abs(turn[1, 0])
    return np.array([height, width] if lying else [width, height])
