"""Face crop -> the 468 landmarks of MediaPipe's face mesh, or its 52 blendshapes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from registry.errors import first_line

BLENDSHAPES = 52
LANDMARKER_FILE = "face_landmarker_v2_with_blendshapes.task"
LANDMARKER_PX = 256
"""Least side of the crops that MediaPipe's landmarker gets; smaller ones are enlarged."""
MeasureBlendshapes = Callable[[Image.Image], Float[np.ndarray, "52"] | float]

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


@contextmanager
def blendshapes(model: Path) -> Iterator[MeasureBlendshapes]:
    """Give a function: face crop -> its 52 blendshapes, 0 to 1; NaN where it finds no landmarks.

    Args:
        model: MediaPipe's face_landmarker_v2_with_blendshapes.task.

    Raises:
        ValueError: it isn't there, or is no landmarker with blendshapes.
    """
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), output_face_blendshapes=True
    )

    def measure(crop: Image.Image) -> Float[np.ndarray, "52"] | float:
        size = max(LANDMARKER_PX, crop.width)
        larger = crop.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels: UInt8[np.ndarray, "h w 3"] = np.array(larger)
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        found = landmarker.detect(picture).face_blendshapes
        return np.array([shape.score for shape in found[0]]) if found else np.nan

    if not model.is_file():
        raise ValueError(f"{model} is not there: give the path of {LANDMARKER_FILE}.")
    try:
        landmarker = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{model} is not MediaPipe's landmarker with blendshapes ({first_line(error)}): give "
            f"the path of {LANDMARKER_FILE}."
        ) from error
    with landmarker:
        yield measure
