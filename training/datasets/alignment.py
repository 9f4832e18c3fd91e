"""Aligns the pictures of each session, in sets whose faces were found by a detector.

A session is all pictures of one person at one angle and gaze. A mouth that opens moves and scales
the square that FaceCropper cuts; the positions of eyes and nose are used to undo that.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Complex, Float, UInt8
from rich.console import Console
from rich.progress import track

from registry.crops import CropSpec, warped
from registry.landmarks import STILL, Landmarker
from training.datasets.pairs import SAME_IN_PAIR
from training.datasets.prepared import Prepared, create_faces

LARGEST_DISTANCE = 0.08
"""As a fraction of the crop's side. Pictures with a point farther than this from the session's mean
are not aligned: their landmarks are wrong."""

console = Console(stderr=True)


def sessions(data: Prepared) -> list[np.ndarray]:
    """Return the rows of each session of two pictures or more: one person, one known angle."""
    known = data.index[data.index["person"].notna() & data.index["angle"].notna()]
    groups = known.groupby(SAME_IN_PAIR, dropna=False).indices.values()
    rows = known.index.to_numpy()
    return [rows[group] for group in groups if len(group) > 1]


def aligned(data: Prepared, spec: CropSpec) -> UInt8[np.ndarray, "n size size 3"]:
    """Return all faces as `Prepared.faces` does, but with eyes and nose of each session aligned.

    Computed once, then read from disk. Pictures that were cropped already are not changed.

    Raises:
        PreparedError: as `Prepared.faces`.
    """
    unaligned = data.faces(spec)

    def write(path: Path) -> None:
        faces = create_faces(path, len(unaligned), spec.size_px)
        faces[:] = unaligned
        _align(data, spec, faces)
        faces.flush()

    return data.cached_map(f"aligned-{spec.size_px}px-m{spec.margin:g}", write)


def _align(data: Prepared, spec: CropSpec, faces: UInt8[np.ndarray, "n size size 3"]) -> None:
    found, landmarker = data.index["face_confidence"].notna().to_numpy(), Landmarker()
    groups = [rows for rows in sessions(data) if found[rows].all()]
    margins = data.index["margin"].to_numpy(dtype=float)
    for rows in track(groups, "aligning sessions", console=console, transient=True):
        crops = [data.read_crop(row) for row in rows.tolist()]
        points = np.stack([_still_points(crop, landmarker) for crop in crops])
        mean = np.nanmean(points, axis=0)
        for row, crop, own in zip(rows.tolist(), crops, points, strict=True):
            if np.abs(own - mean).max() < LARGEST_DISTANCE:
                to_crop = _map_to_crop(mean, own, float(margins[row]), len(crop), spec)
                faces[row] = warped(crop, to_crop, spec.size_px)


def _still_points(
    crop: UInt8[np.ndarray, "side side 3"], landmarker: Landmarker
) -> Complex[np.ndarray, "points"]:
    """Return points that expressions hardly move, x + iy as fractions of the side; NaN if none."""
    found = landmarker.landmarks(crop)
    if found is None:
        return np.full(len(STILL), np.nan + 0j)
    return np.asarray(found[list(STILL)] @ [1, 1j] / len(crop))


def _map_to_crop(
    target: Complex[np.ndarray, "points"],
    own: Complex[np.ndarray, "points"],
    margin: float,
    side: int,
    spec: CropSpec,
) -> Float[np.ndarray, "2 3"]:
    """Return the affine map from pixels of a face of `spec` to those of its stored crop.

    It moves the crop's points `own` to `target` in the face. Least squares over rotation, scale
    and translation (Umeyama, 1991).

    Args:
        target: points as fractions of the crop's side.
        own: the same points of this crop.
        margin: margin of the crop.
        side: side of the crop in pixels.
        spec: how the face is cut.
    """
    share = (1 + spec.margin) / (1 + margin)
    centred = target - target.mean()
    turn = np.vdot(centred, own - own.mean()) / np.vdot(centred, centred)
    scale = turn * share * side / spec.size_px
    corner = (0.5 - share / 2) * (1 + 1j)
    move = (own.mean() + turn * (corner - target.mean())) * side
    return np.array([[scale.real, -scale.imag, move.real], [scale.imag, scale.real, move.imag]])
