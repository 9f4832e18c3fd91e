"""Cut face -> landmarks, finer than the points a face is found by; beside faces, MediaPipe's."""

import threading
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

STILL = (33, 133, 362, 263, 168, 6, 197, 195)
"""Landmarks of the corners of the eyes and the bridge of the nose: expressions hardly move them."""


class Landmarker:
    """Finds the 468 points of MediaPipe's face mesh; safe under threads (MediaPipe is not)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mesh: Any = None

    def landmarks(self, face: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "468 2"] | None:
        """Return x and y of each point in pixels of an RGB picture; None where no face is seen."""
        with self._lock:
            if self._mesh is None:
                from mediapipe.python.solutions.face_mesh import FaceMesh

                self._mesh = FaceMesh(static_image_mode=True, max_num_faces=1)
            found = self._mesh.process(face).multi_face_landmarks
        if not found:
            return None
        points = np.array([[point.x, point.y] for point in found[0].landmark])
        return np.asarray(points * face.shape[1::-1])
