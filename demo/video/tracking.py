"""Which face of a frame is which of the frames before: the nearest one of about the same size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from demo.answers import Box
from registry.faces import Face

FARTHEST = 0.7
"""How far a face may be from where it was, in lengths of its box's side."""
SIZES = 1.6
"""By which factor its side may differ."""
LOST_SECONDS = 2.0
"""A face that was away for longer comes back under a new number."""


@dataclass
class _Known:
    """A face: its number, its last box, and when that was."""

    number: int
    box: Box
    seconds: float


class FaceTracker:
    """Numbers the faces of a video, from 1, in the order in which they appear."""

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._count = 0

    def numbers(self, seconds: float, faces: Sequence[Face]) -> list[int]:
        """Return the number of each face of the next frame.

        Args:
            seconds: When the frame is shown; not before the last one.
            faces: Its faces.
        """
        recent = [face for face in self._known if seconds - face.seconds <= LOST_SECONDS]
        pairs = sorted(
            (distance, index, known.number)
            for index, face in enumerate(faces)
            for known in recent
            if (distance := box_distance(face.box, known.box)) <= FARTHEST
        )
        chosen: dict[int, int] = {}
        for _, index, number in pairs:
            if index not in chosen and number not in chosen.values():
                chosen[index] = number
        for index in range(len(faces)):
            if index not in chosen:
                self._count += 1
                chosen[index] = self._count
        here = [_Known(chosen[i], face.box, seconds) for i, face in enumerate(faces)]
        away = [face for face in recent if face.number not in chosen.values()]
        self._known = here + away
        return [chosen[index] for index in range(len(faces))]


def box_distance(box: Box, other: Box) -> float:
    """Return how far two boxes' centres are apart in lengths of the longer side; inf by size."""
    sides = [max(right - left, bottom - top) for left, top, right, bottom in (box, other)]
    if max(sides) > SIZES * min(sides):
        return math.inf
    across = box[0] + box[2] - other[0] - other[2]
    down = box[1] + box[3] - other[1] - other[3]
    return math.hypot(across, down) / 2 / max(sides)
