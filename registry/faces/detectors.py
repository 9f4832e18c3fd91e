"""MediaPipe's two face detectors, each used by one thread at a time."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from registry.faces.face import Face

FAR, NEAR = 1, 0
"""Numbers of MediaPipe's two detectors: FAR finds faces up to 5 m away, small ones too; NEAR finds
faces up to 2 m away, also one that fills the picture."""
FAR_INPUT_PX, NEAR_INPUT_PX = 192, 128
"""Sides of the squares that the detectors' networks take; MediaPipe scales what it gets to them."""
CONFIDENCE = 0.5
"""Detections below it are left out."""
MOST_THREADS = 4


@dataclass(frozen=True, eq=False)
class DetectorInput:
    """What a detector gets: a part or a copy of a photo, and the map of its pixels to the photo's.

    `to_photo` maps (x, y, 1) to the photo's (x, y).
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    to_photo: Float[np.ndarray, "2 3"]


class Detectors:
    """Detects faces. Threads may share it: each of its own threads has its detectors."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
        self._local = threading.local()

    def faces(
        self, inputs: Sequence[DetectorInput], number: int, shape: tuple[int, ...]
    ) -> list[list[Face]]:
        """Return the faces in each input of one photo, in the photo's pixels.

        Args:
            inputs: what the detector gets, one after the other.
            number: FAR or NEAR.
            shape: height and width of the photo.
        """
        found = self._threads.map(lambda given: self._process(given.pixels, number), inputs)
        return [
            [face.mapped(given.to_photo, shape) for face in faces]
            for given, faces in zip(inputs, found, strict=True)
        ]

    def _process(self, pixels: UInt8[np.ndarray, "h w 3"], number: int) -> list[Face]:
        result = self._detector(number).process(pixels)
        return [_face(found, pixels.shape) for found in result.detections or ()]

    def _detector(self, number: int) -> Any:
        own: dict[int, Any] = vars(self._local).setdefault("detectors", {})
        if number not in own:
            from mediapipe.python.solutions.face_detection import FaceDetection

            own[number] = FaceDetection(CONFIDENCE, model_selection=number)
        return own[number]


def _face(detection: Any, shape: tuple[int, ...]) -> Face:
    place, size = detection.location_data, shape[1::-1]
    box = place.relative_bounding_box
    corners = np.array([[box.xmin, box.ymin], [box.xmin + box.width, box.ymin + box.height]])
    points = np.array([[point.x, point.y] for point in place.relative_keypoints])
    return Face(
        box=tuple((corners * size).ravel().tolist()),
        keypoints=points * size,
        confidence=float(detection.score[0]),
    )
