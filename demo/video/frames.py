"""The frames of a video file, upright, with their times; what can't be read gets a sentence."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import UInt8

from registry.photos import PhotoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LONGEST_SECONDS = 120.0
MOST_PIXELS = 4096 * 2304
"""Largest frame."""
FORMATS = "mov,matroska,avi,mpegts,mpeg,ogg,flv,asf"
"""FFmpeg's names of the files that are read. Others, such as play lists, can name further files and
addresses, which FFmpeg would fetch."""
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
SLACK = 1e-6
"""Times of frames are rounded."""


class VideoError(PhotoError):
    """A video can't be used; the message is one sentence that says what to do."""


class Frame(NamedTuple):
    """A frame, and when it is shown, in seconds from the first one."""

    seconds: float
    pixels: UInt8[np.ndarray, "h w 3"]


def video_seconds(path: Path, longest: float = LONGEST_SECONDS) -> float:
    """Return how long a video is, as its file says; 0 where it doesn't.

    Args:
        path: The file.
        longest: How many seconds it may have.

    Raises:
        VideoError: It is no video, too long, or too large.
    """
    with _opened(path) as (container, stream):
        seconds = 0.0
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            seconds = container.duration / 1e6
        _require_short(path, seconds, longest)
        return seconds


def read_frames(path: Path, per_second: float, longest: float = LONGEST_SECONDS) -> Iterator[Frame]:
    """Yield at most so many frames of each second, by their own times, turned upright.

    Args:
        path: The file.
        per_second: How many frames.
        longest: How many seconds the video may have.

    Raises:
        VideoError: It is no video, too long, too large, or broken.
    """
    with _opened(path) as (container, stream):
        first, following = None, 0.0
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            first = frame.time if first is None else first
            seconds = max(0.0, frame.time - first)
            _require_short(path, seconds, longest)
            if seconds >= following - SLACK:
                following = (math.floor(seconds * per_second + SLACK) + 1) / per_second
                yield Frame(seconds, _upright(path, frame))
    if first is None:
        raise VideoError(f"{path.name} holds no frame; take another video.")


@contextmanager
def _opened(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a file and its first video stream; turn FFmpeg's errors into a VideoError."""
    import av

    try:
        with av.open(str(path), options=OPTIONS) as container:
            if not container.streams.video:
                raise VideoError(f"{path.name} holds no video; take one that does.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except FileNotFoundError:
        raise VideoError(f"There is no file {str(path)!r}.") from None
    except (av.error.FFmpegError, UnicodeError) as error:
        raise VideoError(
            f"{path.name} is no video that can be read, or it is broken; save it as MP4 or WebM."
        ) from error


def _require_short(path: Path, seconds: float, longest: float) -> None:
    if seconds > longest:
        raise VideoError(f"{path.name} is longer than {longest:g} seconds; cut it to a part of it.")


def _upright(path: Path, frame: "VideoFrame") -> UInt8[np.ndarray, "h w 3"]:
    """Return the pixels of a frame, turned as its file says."""
    if frame.width * frame.height > MOST_PIXELS:
        raise VideoError(f"{path.name} has larger frames than 4096 x 2304; scale it down.")
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))
