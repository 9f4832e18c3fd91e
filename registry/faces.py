"""Photo -> faces; the one place that knows MediaPipe."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CropSpec:
    """How a face is cut from a photo: a square, `size_px` a side.

    `margin` is what the square adds to the face's own square (0 = the bare face, 0.3 = 30 % longer
    sides); `roll` turns the picture so that the eyes are level.
    """

    size_px: int
    margin: float
    roll: bool = True
