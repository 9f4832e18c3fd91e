"""One expression on a face in every frame of a short clip; each frame is marked as generated."""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from demo.answers import Provenance
from demo.marking import SOURCE_TYPE, draw_mark
from demo.predictors import Photo, TripletComparer
from demo.transfer import ExpressionTransfer, check_strength
from demo.transfer_limits import warnings_about
from demo.video.following import FollowedFace
from demo.video.frames import Frame, VideoError, read_frames
from registry.faces import FaceCropper
from registry.photos import PhotoError

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

LONGEST_CLIP_SECONDS = 20.0
FRAMES_PER_SECOND = 30.0
"""How many frames of each second the new clip has at most."""
CODEC = "libx264"
QUALITY = {"crf": "18", "preset": "veryfast"}
TICKS = 90_000
"""Times in the file are multiples of a second by this."""
NO_FACE = "{name} shows no face from the front; take a clip that does."


@dataclass(frozen=True, kw_only=True)
class WrittenFrame:
    """A frame of the new clip, and which version changed it; None where it stays as it was.

    A frame stays where the face isn't found, or is seen from the side.
    """

    seconds: float
    provenance: Provenance | None


class ClipTransfer:
    """Writes a clip again with another expression on one face: the largest at its beginning.

    Args:
        transfer: Changes the face of a frame.
        comparer: Tells faces apart where it is not clear which one is followed.
        cropper: Detects the faces.
    """

    def __init__(
        self, transfer: ExpressionTransfer, comparer: TripletComparer, cropper: FaceCropper
    ) -> None:
        self._transfer, self._comparer, self._cropper = transfer, comparer, cropper

    def write(
        self,
        clip: Path,
        driver: Photo | None,
        output: Path,
        *,
        driver_face: int = 0,
        strength: float = 1.0,
    ) -> Generator[WrittenFrame, None, None]:
        """Write the new clip as MP4, without sound; yield each frame when it is done.

        Args:
            clip: The clip.
            driver: Whose expression the face takes on; None makes it neutral.
            output: The file to write; it is whole when all frames were yielded.
            driver_face: The face of the driver, 0 for the largest.
            strength: How far to go, as for `ExpressionTransfer.transfer`.

        Raises:
            VideoError: It is no video, too long, too large or broken, or shows no face.
            BadStrength: The strength is out of range.
            PhotoError: The driver shows no face from the front.
            RegistryError: No version can answer.
        """
        check_strength(strength)
        if driver is not None:
            warnings_about(driver.face(driver_face), "The face to take the expression from")
        face, changed, file = FollowedFace(self._comparer), False, None
        try:
            for frame in read_frames(clip, FRAMES_PER_SECOND, LONGEST_CLIP_SECONDS):
                photo = self._photo(frame)
                pixels, provenance = self._changed(photo, face, driver, driver_face, strength)
                changed = changed or provenance is not None
                file = file or ClipFile(output, pixels)
                file.add(frame.seconds, pixels)
                yield WrittenFrame(seconds=frame.seconds, provenance=provenance)
        finally:
            if file is not None:
                file.close()
        if not changed:
            raise VideoError(NO_FACE.format(name=clip.name))

    def _photo(self, frame: Frame) -> Photo:
        return Photo(frame.pixels, tuple(self._cropper.faces(frame.pixels)), self._cropper)

    def _changed(
        self,
        photo: Photo,
        face: FollowedFace,
        driver: Photo | None,
        driver_face: int,
        strength: float,
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Provenance | None]:
        """Return a frame with its face changed, or as it was where that can't be done."""
        index = face.index(photo)
        if index is None:
            return photo.pixels, None
        try:
            answer = self._transfer.transfer(photo, driver, (index, driver_face), strength)
        except PhotoError:
            return photo.pixels, None
        return answer.picture, answer.provenance


class ClipFile:
    """An MP4 that says it is generated: in the corner of every frame, and in its comment.

    Args:
        path: The file to write.
        first: A frame; all others have its size, of which odd numbers are rounded down.
    """

    def __init__(self, path: Path, first: UInt8[np.ndarray, "h w 3"]) -> None:
        import av

        self._shape = first.shape
        height, width = (side - side % 2 for side in first.shape[:2])
        self._container: OutputContainer = av.open(str(path), "w", format="mp4")
        self._container.metadata["comment"] = f"generated; DigitalSourceType {SOURCE_TYPE}"
        self._container.metadata["title"] = "generated by Expression Studio"
        stream = self._container.add_stream(CODEC, rate=round(FRAMES_PER_SECOND), options=QUALITY)
        assert isinstance(stream, av.VideoStream)
        self._stream: VideoStream = stream
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)

    def add(self, seconds: float, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Mark a frame and add it.

        Raises:
            VideoError: It has another size than the first one.
        """
        import av

        if pixels.shape != self._shape:
            raise VideoError("The clip's frames change their size; save it in one size first.")
        marked = draw_mark(pixels)[: self._stream.height, : self._stream.width]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(marked), format="rgb24")
        frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left and close the file."""
        self._container.mux(self._stream.encode())
        self._container.close()
