"""Pictures of one sitting laid over each other: what the eyes say, where faces had to be found.

A mouth that opens moves and scales the frame that FaceCropper cuts; between two pictures of one
person who looks the same way, the eyes tell how to undo that.
"""

from functools import lru_cache

import numpy as np
from filelock import FileLock
from jaxtyping import Float, UInt8
from numpy.lib.format import open_memmap
from PIL import Image
from rich.console import Console
from rich.progress import track

from registry.faces import CropSpec, FaceCropper, warped
from training.datasets.index import Prepared
from training.datasets.pairs import ALIKE

FARTHEST = 0.08
"""Eyes that lie farther from those of their sitting, in sides of the crop, were not found right."""

console = Console(stderr=True)


def sittings(data: Prepared) -> list[np.ndarray]:
    """Return the rows of each sitting of two pictures or more: one person, one known angle."""
    known = data.index[data.index["person"].notna() & data.index["angle"].notna()]
    groups = known.groupby(ALIKE, dropna=False).indices.values()
    rows = known.index.to_numpy()
    return [rows[group] for group in groups if len(group) > 1]


def aligned(data: Prepared, spec: CropSpec) -> UInt8[np.ndarray, "n size size 3"]:
    """Return every row's face as `Prepared.faces` does, but a sitting's with eyes in one place.

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
    found = data.index["face_confidence"].notna().to_numpy()
    groups = [rows for rows in sittings(data) if found[rows].all()]
    for rows in track(groups, "aligning sittings", console=console, transient=True):
        crops = [_crop(data, row) for row in rows.tolist()]
        eyes = np.stack([_eyes(crop) for crop in crops])
        place = np.nanmean(eyes, axis=0)
        for row, crop, own in zip(rows.tolist(), crops, eyes, strict=True):
            if np.abs(own - place).max() < FARTHEST:
                margin = float(data.index["margin"].to_numpy()[row])
                faces[row] = warped(crop, _map(place, own, margin, len(crop), spec), spec.size_px)


def _crop(data: Prepared, row: int) -> UInt8[np.ndarray, "side side 3"]:
    with Image.open(data.folder / data.index["path"].to_numpy()[row]) as crop:
        return np.asarray(crop.convert("RGB"))


@lru_cache(maxsize=1)
def _cropper() -> FaceCropper:
    return FaceCropper()


def _eyes(crop: UInt8[np.ndarray, "side side 3"]) -> Float[np.ndarray, "2 2"]:
    """Return both eyes in sides of the crop; not numbers where no face is found."""
    faces = _cropper().faces(crop)
    return faces[0].keypoints[:2] / len(crop) if faces else np.full((2, 2), np.nan)


def _map(
    place: Float[np.ndarray, "2 2"],
    own: Float[np.ndarray, "2 2"],
    margin: float,
    side: int,
    spec: CropSpec,
) -> Float[np.ndarray, "2 3"]:
    """Return the map from a cut face's pixels to the crop's that brings `own` eyes to `place`.

    Both are in sides of the crop, which is `margin` wide and `side` pixels.
    """
    share = (1 + spec.margin) / (1 + margin)
    (a, b), (c, d) = place @ [1, 1j], own @ [1, 1j]
    turn = (d - c) / (b - a)
    scale = turn * share * side / spec.size_px
    corner = (0.5 - share / 2) * (1 + 1j)
    move = ((c + d) / 2 + turn * (corner - (a + b) / 2)) * side
    return np.array([[scale.real, -scale.imag, move.real], [scale.imag, scale.real, move.imag]])
