"""Pictures of one sitting laid over each other, where faces had to be found.

A mouth that opens moves and scales the frame that FaceCropper cuts; between two pictures of one
person who looks the same way, eyes and nose tell how to undo that.
"""

import numpy as np
from filelock import FileLock
from jaxtyping import Complex, Float, UInt8
from numpy.lib.format import open_memmap
from PIL import Image
from rich.console import Console
from rich.progress import track

from registry.crops import CropSpec, warped
from registry.landmarks import STILL, Landmarker
from training.datasets.pairs import ALIKE
from training.datasets.prepared import Prepared

FARTHEST = 0.08
"""Points farther from those of their sitting, in sides of the crop, were not found right."""

console = Console(stderr=True)


def sittings(data: Prepared) -> list[np.ndarray]:
    """Return the rows of each sitting of two pictures or more: one person, one known angle."""
    known = data.index[data.index["person"].notna() & data.index["angle"].notna()]
    groups = known.groupby(ALIKE, dropna=False).indices.values()
    rows = known.index.to_numpy()
    return [rows[group] for group in groups if len(group) > 1]


def aligned(data: Prepared, spec: CropSpec) -> UInt8[np.ndarray, "n size size 3"]:
    """Return every row's face as `Prepared.faces` does, a sitting's with eyes and nose in place.

    Cut once, then read from disk. Pictures that came framed already are taken as they are.
    """
    plain = data.faces(spec)
    path = data.folder / "cache" / f"aligned-{spec.size_px}px-m{spec.margin:g}.npy"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            half = path.with_suffix(".part")
            faces = open_memmap(half, mode="w+", dtype=np.uint8, shape=plain.shape)  # type: ignore[no-untyped-call]
            faces[:] = plain
            _align(data, spec, faces)
            faces.flush()
            half.replace(path)
    read: np.memmap = np.load(path, mmap_mode="r")
    return read


def _align(data: Prepared, spec: CropSpec, faces: UInt8[np.ndarray, "n size size 3"]) -> None:
    found, landmarker = data.index["face_confidence"].notna().to_numpy(), Landmarker()
    groups = [rows for rows in sittings(data) if found[rows].all()]
    margins = data.index["margin"].to_numpy(dtype=float)
    for rows in track(groups, "aligning sittings", console=console, transient=True):
        crops = [_crop(data, row) for row in rows.tolist()]
        points = np.stack([_still_points(crop, landmarker) for crop in crops])
        place = np.nanmean(points, axis=0)
        for row, crop, own in zip(rows.tolist(), crops, points, strict=True):
            if np.abs(own - place).max() < FARTHEST:
                to_crop = _map(place, own, float(margins[row]), len(crop), spec)
                faces[row] = warped(crop, to_crop, spec.size_px)


def _crop(data: Prepared, row: int) -> UInt8[np.ndarray, "side side 3"]:
    with Image.open(data.folder / data.index["path"].to_numpy()[row]) as crop:
        return np.asarray(crop.convert("RGB"))


def _still_points(
    crop: UInt8[np.ndarray, "side side 3"], landmarker: Landmarker
) -> Complex[np.ndarray, "points"]:
    """Return what expressions hardly move, x + iy in sides of the crop; not numbers if not seen."""
    found = landmarker.landmarks(crop)
    if found is None:
        return np.full(len(STILL), np.nan + 0j)
    return np.asarray(found[list(STILL)] @ [1, 1j] / len(crop))


def _map(
    place: Complex[np.ndarray, "points"],
    own: Complex[np.ndarray, "points"],
    margin: float,
    side: int,
    spec: CropSpec,
) -> Float[np.ndarray, "2 3"]:
    """Return the map from a cut face's pixels to its crop's that brings `own` points to `place`.

    Least squares over turns, scales and moves (Umeyama, 1991). Points are in sides of the crop,
    which is `margin` wide and `side` pixels.
    """
    share = (1 + spec.margin) / (1 + margin)
    centred = place - place.mean()
    turn = np.vdot(centred, own - own.mean()) / np.vdot(centred, centred)
    scale = turn * share * side / spec.size_px
    corner = (0.5 - share / 2) * (1 + 1j)
    move = (own.mean() + turn * (corner - place.mean())) * side
    return np.array([[scale.real, -scale.imag, move.real], [scale.imag, scale.real, move.imag]])
