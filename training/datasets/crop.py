"""One picture in, one crop on disk: what `prepare` does for each picture, in any process."""

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
from registry.files import atomic_write
from registry.photos import PhotoError, read_photo
from training.datasets.source import MemberError, PictureRecord, Source

WIDEST_MARGIN = max(spec.crop.margin for spec in CATALOG.values())
"""Margin of the crops of detected faces: enough for every model."""
LARGEST_CROP_PX = 320
LARGEST_PNG_PX = 128
"""Crops up to this size are PNG files, since the blocks of JPEG would show in them."""


@dataclass(frozen=True, kw_only=True)
class StoredCrop:
    """A crop on disk and how it was cut; also stored as the comment of the crop's file."""

    path: str
    digest: str
    margin: float
    size_px: int
    box: tuple[float, ...]
    face_confidence: float | None


@dataclass(frozen=True, kw_only=True)
class PictureCropper:
    """Writes the crops of a source's pictures into `folder`/crops.

    See `RawDataset` for `cropped_margin`, `fallback_margin` and `central_face`.
    """

    source: Source
    folder: Path
    cropped_margin: float | None = None
    fallback_margin: float | None = None
    central_face: bool = False

    def __call__(self, picture: PictureRecord) -> StoredCrop | str:
        """Return the picture's crop, cut now or in an earlier run, or the reason for having none.

        Raises:
            OSError: the crop can't be written.
        """
        try:
            content = self.source.read(picture.member)
            digest = picture.digest or hashlib.sha256(content).hexdigest()
            return self._existing(picture, digest) or self._crop(picture, content, digest)
        except NoFace:
            return "no face was found"
        except MemberError as error:
            return error.reason
        except PhotoError:
            return "the picture can't be read"

    def _existing(self, picture: PictureRecord, digest: str) -> StoredCrop | None:
        """Return the crop of an earlier run if it was cut from the same bytes in the same way."""
        if self.cropped_margin is None:
            margins = {WIDEST_MARGIN, self.fallback_margin}
        else:
            margins = {self.cropped_margin}
        for suffix in (".png", ".jpg"):
            crop = read_crop_comment(self.folder / "crops" / f"{picture.name}{suffix}")
            if crop and crop.digest == digest and crop.margin in margins:
                return crop
        return None

    def _crop(self, picture: PictureRecord, content: bytes, digest: str) -> StoredCrop:
        pixels, how = self._face(read_photo(content), picture.face_centre)
        size = pixels.shape[0]
        path = f"crops/{picture.name}{'.png' if size <= LARGEST_PNG_PX else '.jpg'}"
        crop = StoredCrop(path=path, digest=digest, size_px=size, **how)
        _write_crop(self.folder / path, pixels, crop)
        return crop

    def _face(
        self, photo: UInt8[np.ndarray, "h w 3"], centre: tuple[float, float] | None
    ) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, Any]]:
        """Return the face's pixels, and margin, box and face_confidence of its `StoredCrop`."""
        if self.cropped_margin is not None:
            return _central_square(photo, self.cropped_margin)
        if centre is None and self.central_face:
            centre = (photo.shape[1] / 2, photo.shape[0] / 2)
        try:
            return _found_face(photo, centre)
        except NoFace:
            if self.fallback_margin is None:
                raise
            return _central_square(photo, self.fallback_margin)


def _found_face(
    photo: UInt8[np.ndarray, "h w 3"], centre: tuple[float, float] | None
) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, Any]]:
    """Find the face at `centre`, or the largest one, and cut it level with WIDEST_MARGIN."""
    cropper = _face_cropper()
    face = cropper.one(photo) if centre is None else nearest_face(cropper.faces(photo), centre)
    size = min(LARGEST_CROP_PX, round(face.side * (1 + WIDEST_MARGIN)))
    crop = cropper.crop(photo, face, CropSpec(size_px=size, margin=WIDEST_MARGIN))
    box = tuple(round(float(edge), 1) for edge in face.box)
    confidence = round(float(face.confidence), 4)
    return crop.pixels, {"margin": WIDEST_MARGIN, "box": box, "face_confidence": confidence}


def nearest_face(faces: Sequence[Face], point: tuple[float, float]) -> Face:
    """Return the face whose centre is nearest to a point, at most one side of the face away.

    Raises:
        NoFace: there is none.
    """
    by_distance = {math.dist(face.centre, point): face for face in faces}
    if not by_distance or min(by_distance) > by_distance[min(by_distance)].side:
        raise NoFace("No face was found where the set says that there is one.")
    return by_distance[min(by_distance)]


def _central_square(
    photo: UInt8[np.ndarray, "h w 3"], margin: float
) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, Any]]:
    """Cut the central square out of a picture that shows only a face with `margin`."""
    h, w = photo.shape[:2]
    side = min(h, w)
    left, top = (w - side) // 2, (h - side) // 2
    square = Image.fromarray(photo[top : top + side, left : left + side])
    square.thumbnail((LARGEST_CROP_PX, LARGEST_CROP_PX), Image.Resampling.LANCZOS)
    box = tuple(float(edge) for edge in (left, top, left + side, top + side))
    return np.asarray(square), {"margin": margin, "box": box, "face_confidence": None}


@lru_cache(maxsize=1)
def _face_cropper() -> FaceCropper:
    return FaceCropper()


def _write_crop(path: Path, pixels: UInt8[np.ndarray, "size size 3"], crop: StoredCrop) -> None:
    """Write a crop with its comment, as a grey picture if all pixels are grey."""
    grey = (pixels == pixels[..., :1]).all()
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels)
    comment, content = json.dumps(asdict(crop)), io.BytesIO()
    if path.suffix == ".png":
        info = PngInfo()
        info.add_text("comment", comment)
        picture.save(content, "PNG", pnginfo=info, compress_level=1)
    else:
        picture.save(content, "JPEG", quality=95, comment=comment.encode())
    with atomic_write(path) as part:  # Pillow would hide the reason of a failed write
        part.write_bytes(content.getvalue())


def read_crop_comment(path: Path) -> StoredCrop | None:
    """Return how a crop was cut; None if there is no crop written by `prepare`."""
    if not path.exists():
        return None
    try:
        with Image.open(path) as crop:
            comment = json.loads(crop.info["comment"])
        return StoredCrop(**comment | {"box": tuple(comment["box"])})
    except (OSError, KeyError, ValueError, TypeError):
        return None


def start_workers(workers: int, *, find_faces: bool) -> Executor:
    """Return a pool: processes if faces have to be found, threads if only files are written."""
    if not find_faces:
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_follow_parent,
    )


def _follow_parent() -> None:
    """Leave Ctrl-C and messages to the parent process, and end when it ends, even if killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MediaPipe's C++ logs a lot; errors are raised
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_too() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_too, daemon=True).start()
