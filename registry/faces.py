"""Photo -> faces, detected by MediaPipe, and their crops."""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from registry.crops import Crop, CropSpec, warped
from registry.photos import PhotoError

FAR, NEAR = 1, 0
"""Numbers of MediaPipe's two detectors: FAR finds faces up to 5 m away, small ones too; NEAR finds
faces up to 2 m away, also one that fills the picture."""
GREY = 128
LONGEST_PX = 640
"""Longest side of the copy of a photo that a detector gets."""
TILE_PX = 640
OVERLAP = 0.25
"""Part of a tile that the next one covers again."""
MOST_TILES = 36
CONFIDENCE = 0.5
"""Detections below it are left out."""
SAME_FACE = 0.3
"""Two boxes that share more than this part of the smaller one hold the same face."""

SIDE_IN_EYE_DISTANCES = 2.55
SIDE_IN_EYE_MOUTH_DISTANCES = 2.4
CENTRE_BELOW_EYES = 0.3


class NoFace(PhotoError):
    """A photo shows no face, or fewer faces than the number of the chosen one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """A face in a photo, in the photo's pixels.

    `box` is (left, top, right, bottom), clamped to the photo; `keypoints` are right eye, left eye,
    nose tip, mouth, right ear, left ear (the person's right and left).
    """

    box: tuple[float, float, float, float]
    keypoints: Float[np.ndarray, "6 2"]
    confidence: float

    def moved(self, right: float, down: float, shape: tuple[int, ...]) -> "Face":
        """Return the face in a picture of `shape` (h, w) where it lies further right and down."""
        offset = np.array([right, down])
        corners = np.array(self.box).reshape(2, 2) + offset
        return replace(self, box=_clamped(corners, shape), keypoints=self.keypoints + offset)

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


class FaceCropper:
    """Detects faces and crops them. Threads may share it: a lock guards MediaPipe's detectors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._detectors: dict[int, Any] = {}

    def faces(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Return all faces of an RGB photo, largest first.

        The detector gets a copy of at most 640 px. Where it finds none, the photo may be filled by
        one face: the close-range detector gets it with a grey frame around. Where that finds none
        either, the faces may be small: the detector gets overlapping tiles.
        """
        height, width = photo.shape[:2]
        found = self._detect(photo, FAR) or self._detect(photo, NEAR, frame=0.5)
        if not found and max(height, width) > TILE_PX:
            for left, top, right, bottom in _tiles(height, width):
                inside = self._detect(photo[top:bottom, left:right], FAR)
                found += [face.moved(float(left), float(top), photo.shape[:2]) for face in inside]
        return sorted(_without_duplicates(found), key=lambda face: -face.side)

    def one(self, photo: UInt8[np.ndarray, "h w 3"], which: int = 0) -> Face:
        """Return one face of an RGB photo: 0 is the largest.

        Raises:
            NoFace: there is none, or there are fewer.
        """
        return select_face(self.faces(photo), which)

    def crop(self, photo: UInt8[np.ndarray, "h w 3"], face: Face, spec: CropSpec) -> Crop:
        """Cut a face out; what lies outside the photo repeats its edge."""
        length = face.side * (1 + spec.margin)
        angle = math.radians(face.angle) if spec.roll else 0.0
        scale = length / spec.size_px
        cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
        half = spec.size_px / 2
        x, y = face.centre
        to_photo = np.array(
            [[cos, -sin, x - (cos - sin) * half], [sin, cos, y - (sin + cos) * half]]
        )
        return Crop(pixels=warped(photo, to_photo, spec.size_px), spec=spec, to_photo=to_photo)

    def _detect(
        self, part: UInt8[np.ndarray, "h w 3"], detector: int, frame: float = 0.0
    ) -> list[Face]:
        """Detect faces on a small copy; `frame` is a grey border, in parts of the sides."""
        copy = _shrunk(part)
        height, width = copy.shape[:2]
        down, right = round(frame * height), round(frame * width)
        framed = np.pad(copy, ((down, down), (right, right), (0, 0)), constant_values=GREY)
        with self._lock:
            result = self._detector(detector).process(framed)
        scale = np.array([part.shape[1] / width, part.shape[0] / height])
        stretch = scale * framed.shape[1::-1]
        offset = scale * (right, down)
        return [_face(found, stretch, offset, part.shape) for found in result.detections or ()]

    def _detector(self, number: int) -> Any:
        if number not in self._detectors:
            from mediapipe.python.solutions.face_detection import FaceDetection

            self._detectors[number] = FaceDetection(CONFIDENCE, model_selection=number)
        return self._detectors[number]


def _shrunk(part: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "a b 3"]:
    shrink = LONGEST_PX / max(part.shape[:2])
    if shrink >= 1:
        return part
    height, width = (max(1, round(length * shrink)) for length in part.shape[:2])
    copy = Image.fromarray(part)
    return np.array(copy.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))


def _face(detection: Any, stretch: np.ndarray, offset: np.ndarray, shape: tuple[int, ...]) -> Face:
    place = detection.location_data
    box = place.relative_bounding_box
    corners = np.array([[box.xmin, box.ymin], [box.xmin + box.width, box.ymin + box.height]])
    points = np.array([[point.x, point.y] for point in place.relative_keypoints])
    return Face(
        box=_clamped(corners * stretch - offset, shape),
        keypoints=points * stretch - offset,
        confidence=float(detection.score[0]),
    )


def _clamped(
    corners: Float[np.ndarray, "2 2"], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = corners.clip(0, (shape[1], shape[0])).tolist()
    return left, top, right, bottom


def _tiles(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    side = TILE_PX
    while _steps(height, side) * _steps(width, side) > MOST_TILES:
        side *= 2
    for top in np.linspace(0, max(0, height - side), _steps(height, side)).astype(int).tolist():
        for left in np.linspace(0, max(0, width - side), _steps(width, side)).astype(int).tolist():
            yield left, top, min(width, left + side), min(height, top + side)


def _steps(length: int, side: int) -> int:
    return 1 + math.ceil(max(0, length - side) / (side * (1 - OVERLAP)))


def _without_duplicates(found: list[Face]) -> list[Face]:
    unique: list[Face] = []
    for face in sorted(found, key=lambda face: -face.confidence):
        if all(_overlap(face.box, other.box) < SAME_FACE for other in unique):
            unique.append(face)
    return unique


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / max(1e-9, min(areas))
