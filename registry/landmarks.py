"""Face crop -> the 468 landmarks of MediaPipe's face mesh."""

import threading
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

STILL = (33, 133, 362, 263, 168, 6, 197, 195)
"""Indices of landmarks that expressions hardly move: corners of the eyes, bridge of the nose."""


class Landmarker:
    """Finds the landmarks of a face. Threads may share it: a lock guards MediaPipe's mesh."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mesh: Any = None

    def landmarks(self, face: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "468 2"] | None:
        """Return x and y of each point in pixels of an RGB picture; None where no face is found."""
        with self._lock:
            if self._mesh is None:
                from mediapipe.python.solutions.face_mesh import FaceMesh

                self._mesh = FaceMesh(static_image_mode=True, max_num_faces=1)
            found = self._mesh.process(face).multi_face_landmarks
        if not found:
            return None
        points = np.array([[point.x, point.y] for point in found[0].landmark])
        return np.asarray(points * face.shape[1::-1])
