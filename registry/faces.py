"""Photo -> faces; the one place that knows MediaPipe."""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from registry.photos import PhotoError

if TYPE_CHECKING:
    from torch import Tensor

FAR, NEAR = 1, 0
"""MediaPipe's detectors: up to 5 m and small faces; up to 2 m and faces that fill the picture."""
GREY = 128
LONGEST_PX = 640
TILE_PX = 640
OVERLAP = 0.25
MOST_TILES = 36
CONFIDENCE = 0.5
SAME_FACE = 0.3
"""Two boxes that share more than this of the smaller one hold one face."""

SIDE_IN_EYE_DISTANCES = 2.55
SIDE_IN_EYE_MOUTH_DISTANCES = 2.4
CENTRE_BELOW_EYES = 0.3


class NoFace(PhotoError):
    """A photo shows no face, or not as many as asked for."""


@dataclass(frozen=True, kw_only=True)
class CropSpec:
    """How a face is cut from a photo: a square, `size_px` a side.

    `margin` is what the square adds to the face's own square (0 = the bare face, 0.3 = 30 % longer
    sides); `roll` turns the picture so that the eyes are level.
    """

    size_px: int
    margin: float
    roll: bool = True


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
        """Return the face in the pixels of a larger or smaller picture of `shape` (h, w)."""
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
        """Roll in degrees, clockwise in the picture: by the eyes, and from them to the mouth.

        The two agree on a frontal face; of a turned head the eyes are near each other and the line
        to the mouth counts for more.
        """
        right = self.keypoints[1] - self.keypoints[0] + np.array([self._down[1], -self._down[0]])
        return math.degrees(math.atan2(right[1], right[0]))

    @cached_property
    def side(self) -> float:
        """Side of the bare face's square, from the longer of eye distance and eyes to mouth."""
        between = float(np.linalg.norm(self.keypoints[1] - self.keypoints[0]))
        down = float(np.linalg.norm(self._down))
        return max(SIDE_IN_EYE_DISTANCES * between, SIDE_IN_EYE_MOUTH_DISTANCES * down)

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Centre of the face's square, x and y: a part of the way from eyes to mouth."""
        x, y = self._eyes + CENTRE_BELOW_EYES * self._down
        return float(x), float(y)


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop:
    """A face cut out: RGB pixels, and the way back.

    `to_photo` maps a crop's (x, y, 1) to the photo's (x, y), pixel centres at half numbers.
    """

    pixels: UInt8[np.ndarray, "size size 3"]
    spec: CropSpec
    to_photo: Float[np.ndarray, "2 3"]


class FaceCropper:
    """Finds faces and cuts them out; safe under threads (MediaPipe is not, hence a lock)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._detectors: dict[int, Any] = {}

    def faces(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Return all faces of an RGB photo, largest first.

        They are looked for on a copy of at most 640 px. Where none is found, the photo may be one
        face, so the close-range detector looks at it with a grey frame around; then faces may be
        small, so overlapping tiles are searched.
        """
        height, width = photo.shape[:2]
        found = self._look(photo, FAR) or self._look(photo, NEAR, frame=0.5)
        if not found and max(height, width) > TILE_PX:
            for left, top, right, bottom in _tiles(height, width):
                inside = self._look(photo[top:bottom, left:right], FAR)
                found += [face.moved(float(left), float(top), photo.shape[:2]) for face in inside]
        return sorted(_without_doubles(found), key=lambda face: -face.side)

    def one(self, photo: UInt8[np.ndarray, "h w 3"], which: int = 0) -> Face:
        """Return the largest face, or the one at `which` by size.

        Raises:
            NoFace: there is none, or there are fewer.
        """
        found = self.faces(photo)
        if not found:
            raise NoFace("No face was found; take a photo that shows a face from the front.")
        if which >= len(found):
            raise NoFace(f"There is no face {which + 1}: {len(found)} found; choose another.")
        return found[which]

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

    def _look(self, part: UInt8[np.ndarray, "h w 3"], sight: int, frame: float = 0.0) -> list[Face]:
        """Detect on a small copy; `frame` adds grey around it, in parts of its sides."""
        copy = _shrunk(part)
        height, width = copy.shape[:2]
        down, right = round(frame * height), round(frame * width)
        framed = np.pad(copy, ((down, down), (right, right), (0, 0)), constant_values=GREY)
        with self._lock:
            answer = self._detector(sight).process(framed)
        scale = np.array([part.shape[1] / width, part.shape[0] / height])
        stretch = scale * framed.shape[1::-1]
        offset = scale * (right, down)
        return [_face(found, stretch, offset, part.shape) for found in answer.detections or ()]

    def _detector(self, sight: int) -> Any:
        if sight not in self._detectors:
            from mediapipe.python.solutions.face_detection import FaceDetection

            self._detectors[sight] = FaceDetection(CONFIDENCE, model_selection=sight)
        return self._detectors[sight]


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


def _without_doubles(found: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: -face.confidence):
        if all(_overlap(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / max(1e-9, min(areas))


def warped(
    photo: UInt8[np.ndarray, "h w 3"], to_photo: Float[np.ndarray, "2 3"], size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the photo through an affine map; a shrinking one is averaged before it is sampled.

    Args:
        photo: RGB pixels; beyond them its edge is repeated.
        to_photo: maps the result's (x, y, 1) to the photo's (x, y), pixel centres at half numbers.
        size: side of the result.
    """
    scale = math.hypot(to_photo[0, 0], to_photo[1, 0])
    coarser = max(1, int(scale / 4))  # photo pixels averaged beforehand, in each direction
    finer = max(1, math.ceil(scale / coarser))  # samples of those, averaged afterwards
    corners = to_photo @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    low = np.floor(corners.min(1)).astype(int) - 2 * coarser
    high = low + coarser * np.ceil((corners.max(1) - low) / coarser + 2).astype(int)
    part = Image.fromarray(_edge_repeated(photo, low, high)).reduce(coarser)
    inner = (to_photo - np.array([[0, 0, low[0]], [0, 0, low[1]]])) / coarser
    inner[:, :2] /= finer
    cut = part.transform(
        (size * finer, size * finer),
        Image.Transform.AFFINE,
        tuple(inner.ravel().tolist()),
        Image.Resampling.BICUBIC if scale < 1 else Image.Resampling.BILINEAR,
    )
    return np.array(cut.reduce(finer))


def _edge_repeated(
    photo: UInt8[np.ndarray, "h w 3"], low: np.ndarray, high: np.ndarray
) -> UInt8[np.ndarray, "a b 3"]:
    """Return the pixels from `low` (x, y) to `high`, also where they are outside the photo."""
    height, width = photo.shape[:2]
    columns = np.arange(low[0], high[0]).clip(0, width - 1)
    rows = np.arange(low[1], high[1]).clip(0, height - 1)
    return photo.take(rows, 0).take(columns, 1)


def recut(
    pixels: UInt8[np.ndarray, "s s 3"], stored_margin: float, spec: CropSpec
) -> UInt8[np.ndarray, "size size 3"]:
    """Return another crop out of a stored one, which is level already and `stored_margin` wide.

    A wider crop than the stored one repeats its edge.
    """
    side = pixels.shape[0]
    length = side * (1 + spec.margin) / (1 + stored_margin)
    if length > side:
        around = math.ceil((length - side) / 2)
        pixels = np.pad(pixels, ((around, around), (around, around), (0, 0)), mode="edge")
    start = (pixels.shape[0] - length) / 2
    box = (start, start, start + length, start + length)
    size = (spec.size_px, spec.size_px)
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=box))


def to_tensor(crops: Sequence[UInt8[np.ndarray, "size size 3"]]) -> "Float[Tensor, 'batch 3 h w']":
    """Return crops as RGB in [0, 1]."""
    import torch

    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
