"""One picture in, one crop on disk: what `prepare` does for each picture, in whatever process."""

import hashlib
import io
import json
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from registry.catalog import CATALOG
from registry.crops import CropSpec
from registry.faces import Face, FaceCropper, NoFace
from registry.photos import PhotoError, read_photo
from training.datasets.prepared import PreparedError
from training.datasets.source import Picture, Source

WIDEST = max(card.crop.margin for card in CATALOG.values())
LARGEST_PX = 320
TINY_PX = 128
"""Crops up to this size are kept as PNG, since JPEG's blocks would show."""


@dataclass(frozen=True, kw_only=True)
class StoredCrop:
    """A crop on disk and how it was cut; the crop's own file carries this as its comment."""

    path: str
    digest: str
    margin: float
    size_px: int
    box: tuple[float, ...]
    face_confidence: float | None


@dataclass(frozen=True, kw_only=True)
class Cutter:
    """Cuts a source's pictures into `folder`/crops; see `Reading` for how."""

    source: Source
    folder: Path
    framing: float | None = None
    fallback: float | None = None
    central: bool = False

    def __call__(self, picture: Picture) -> StoredCrop | str:
        """Return the picture's crop, cut now or in an earlier run, or why there is none."""
        try:
            content = self.source.read(picture.member)
            digest = picture.digest or hashlib.sha256(content).hexdigest()
            return self._kept(picture, digest) or self._cut(picture, content, digest)
        except NoFace:
            return "no face was found"
        except (PhotoError, PreparedError):
            return "the picture can't be read"

    def _kept(self, picture: Picture, digest: str) -> StoredCrop | None:
        margins = (WIDEST, self.fallback) if self.framing is None else (self.framing,)
        for suffix in (".png", ".jpg"):
            kept = comment_of(self.folder / "crops" / f"{picture.name}{suffix}")
            if kept and kept.digest == digest and kept.margin in margins:
                return kept
        return None

    def _cut(self, picture: Picture, content: bytes, digest: str) -> StoredCrop:
        pixels, how = self._face(read_photo(content), picture.near)
        size = pixels.shape[0]
        path = f"crops/{picture.name}{'.png' if size <= TINY_PX else '.jpg'}"
        kept = StoredCrop(path=path, digest=digest, size_px=size, **how)
        _write(self.folder / path, pixels, kept)
        return kept

    def _face(
        self, photo: UInt8[np.ndarray, "h w 3"], near: tuple[float, float] | None
    ) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, Any]]:
        if self.framing is not None:
            return _whole(photo, self.framing)
        if near is None and self.central:
            near = (photo.shape[1] / 2, photo.shape[0] / 2)
        try:
            return _found(photo, near)
        except NoFace:
            if self.fallback is None:
                raise
            return _whole(photo, self.fallback)


def _found(
    photo: UInt8[np.ndarray, "h w 3"], near: tuple[float, float] | None
) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, Any]]:
    face = _cropper().one(photo) if near is None else nearest(_cropper().faces(photo), near)
    size = min(LARGEST_PX, round(face.side * (1 + WIDEST)))
    crop = _cropper().crop(photo, face, CropSpec(size_px=size, margin=WIDEST))
    box = tuple(round(float(edge), 1) for edge in face.box)
    confidence = round(float(face.confidence), 4)
    return crop.pixels, {"margin": WIDEST, "box": box, "face_confidence": confidence}


def nearest(faces: Sequence[Face], point: tuple[float, float]) -> Face:
    """Return the face whose middle is nearest to a point that lies on it or next to it.

    Raises:
        NoFace: there is none.
    """
    by_distance = {math.dist(face.centre, point): face for face in faces}
    if not by_distance or min(by_distance) > by_distance[min(by_distance)].side:
        raise NoFace("No face was found where the set says that there is one.")
    return by_distance[min(by_distance)]


def _whole(
    photo: UInt8[np.ndarray, "h w 3"], margin: float
) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, Any]]:
    """Take the middle square of a picture that shows nothing but a face."""
    h, w = photo.shape[:2]
    side = min(h, w)
    left, top = (w - side) // 2, (h - side) // 2
    square = Image.fromarray(photo[top : top + side, left : left + side])
    square.thumbnail((LARGEST_PX, LARGEST_PX), Image.Resampling.LANCZOS)
    box = tuple(float(edge) for edge in (left, top, left + side, top + side))
    return np.asarray(square), {"margin": margin, "box": box, "face_confidence": None}


@lru_cache(maxsize=1)
def _cropper() -> FaceCropper:
    return FaceCropper()


def _write(path: Path, pixels: UInt8[np.ndarray, "size size 3"], kept: StoredCrop) -> None:
    """Write the crop under its name in one step, grey where all of it is."""
    grey = (pixels == pixels[..., :1]).all()
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels)
    comment, content = json.dumps(asdict(kept)), io.BytesIO()
    if path.suffix == ".png":
        info = PngInfo()
        info.add_text("comment", comment)
        picture.save(content, "PNG", pnginfo=info, compress_level=1)
    else:
        picture.save(content, "JPEG", quality=95, comment=comment.encode())
    half = path.with_suffix(".part")
    half.write_bytes(content.getvalue())
    half.replace(path)


def comment_of(path: Path) -> StoredCrop | None:
    """Return how a crop was cut; None where there is none of ours."""
    if not path.exists():
        return None
    try:
        with Image.open(path) as crop:
            said = json.loads(crop.info["comment"])
        return StoredCrop(**said | {"box": tuple(said["box"])})
    except (OSError, KeyError, ValueError, TypeError):
        return None


def executor(workers: int, *, finds_faces: bool) -> Executor:
    """Return processes for the slow search for faces, threads where only files are written."""
    if not finds_faces:
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_follow_parent,
    )


def _follow_parent() -> None:
    """Leave Ctrl-C and words to the parent process, and end when it ends, however that happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MediaPipe's C++ chats; faults are raised
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_too() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_too, daemon=True).start()
