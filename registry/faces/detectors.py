"""MediaPipe's face detectors, each used by one thread at a time."""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from registry.faces.face import Face

Result = TypeVar("Result")


@dataclass(frozen=True)
class Detector:
    """A face detector of MediaPipe.

    `subgraph` is MediaPipe's name of it. Detections with a smaller `confidence` are left out.
    """

    subgraph: str
    confidence: float


NEAR = Detector("FaceDetectionShortRange", 0.5)
"""Finds faces up to 2 m away, also one that fills the picture."""
FAR = Detector("FaceDetectionFullRange", 0.6)
"""Finds faces up to 5 m away, small ones too."""
FAR_UNSURE = Detector("FaceDetectionFullRange", 0.15)
"""FAR with finds that it is not sure of, among them the faces smallest in what it gets."""
FAR_INPUT_PX, NEAR_INPUT_PX = 192, 128
"""Sides of the squares that the detectors' networks take; MediaPipe scales what it gets to them."""
GRAPH = """
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "{subgraph}"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
  node_options {{
    [type.googleapis.com/mediapipe.FaceDetectionOptions] {{
      min_score_thresh: {confidence}
      delegate {{ xnnpack {{}} }}
    }}
  }}
}}
"""
"""What MediaPipe runs. Its class FaceDetection leaves the confidence it is given out of use."""
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

    def map(self, function: Callable[..., Result], *items: Iterable[Any]) -> list[Result]:
        """Return what `map` gives, computed in the detectors' threads."""
        return list(self._threads.map(function, *items))

    def faces(
        self, inputs: Sequence[DetectorInput], detector: Detector, shape: tuple[int, ...]
    ) -> list[list[Face]]:
        """Return the faces in each input of one photo, in the photo's pixels.

        Args:
            inputs: what the detector gets, one after the other.
            detector: FAR, FAR_UNSURE or NEAR.
            shape: height and width of the photo.
        """
        found = self.map(lambda given: self._process(given.pixels, detector), inputs)
        return [
            [face.mapped(given.to_photo, shape) for face in faces]
            for given, faces in zip(inputs, found, strict=True)
        ]

    def _process(self, pixels: UInt8[np.ndarray, "h w 3"], detector: Detector) -> list[Face]:
        own: dict[Detector, Any] = vars(self._local).setdefault("graphs", {})
        if detector not in own:
            own[detector] = _graph(detector)
        result = own[detector].process({"image": pixels})
        return [_face(found, pixels.shape) for found in result.detections or ()]


def _graph(detector: Detector) -> Any:
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2
    from mediapipe.modules.face_detection import face_detection_pb2  # noqa: F401  (its options)
    from mediapipe.python.solution_base import SolutionBase

    text = GRAPH.format(subgraph=detector.subgraph, confidence=detector.confidence)
    config = text_format.Parse(text, calculator_pb2.CalculatorGraphConfig())
    return SolutionBase(graph_config=config, outputs=["detections"])


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
