"""Short videos, made of pictures."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

TICKS = 1000
"""Times are rounded to a thousandth of a second."""
TURNED_RIGHT = (0, 1 << 16, 0, 0xFFFF0000, 0, 0, 0, 0, 1 << 30)
"""The matrix of a track whose frames are to be turned clockwise by 90 degrees."""
MATRIX_AFTER = 44
"""Where the matrix is, counted from the name of an MP4's track header."""


def write_clip(
    path: Path, pictures: Sequence[Image.Image], seconds: Sequence[float] | None = None
) -> Path:
    """Write a video of pictures of one size and their times, 10 a second by default."""
    times = seconds or [index / 10 for index in range(len(pictures))]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=TICKS)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 8_000_000
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn_right(path: Path) -> Path:
    """Write into an MP4 that its frames are to be turned clockwise by 90 degrees."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + MATRIX_AFTER
    for index, value in enumerate(TURNED_RIGHT):
        content[start + 4 * index : start + 4 * index + 4] = value.to_bytes(4, "big")
    path.write_bytes(content)
    return path
