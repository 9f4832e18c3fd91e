"""Frames of a video: their times, their sides up, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.video.frames import VideoError, read_frames, video_seconds
from tests.demo.video.clips import turn_right, write_clip

GREY = Image.new("RGB", (64, 48), "grey")


def test_frames_come_by_their_own_times_at_most_so_many_a_second(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.2, 0.9, 0.95, 1.0, 2.5]
    clip = write_clip(tmp_path / "clip.mp4", [GREY] * len(times), times)
    frames = list(read_frames(clip, 5.0))
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.2, 0.9, 1.0, 2.5])
    assert video_seconds(clip) == pytest.approx(2.5, abs=0.2)


def test_a_turned_video_is_turned_upright(tmp_path: Path) -> None:
    left_is_red = Image.new("RGB", (64, 48), "blue")
    left_is_red.paste("red", (0, 0, 32, 48))
    clip = write_clip(tmp_path / "clip.mp4", [left_is_red] * 3)
    (as_stored, *_) = read_frames(clip, 5.0)
    (turned, *_) = read_frames(turn_right(clip), 5.0)
    assert (as_stored.pixels.shape, turned.pixels.shape) == ((48, 64, 3), (64, 48, 3))
    assert reddest(turned.pixels[:20]) > 150 > 100 > reddest(turned.pixels[-20:])


def reddest(pixels: np.ndarray) -> float:
    return float(pixels[..., 0].mean())


def text(path: Path) -> Path:
    path.write_text("no video")
    return path


def photo(path: Path) -> Path:
    GREY.save(path, "JPEG")
    return path


def playlist(path: Path) -> Path:
    """Return a play list, which FFmpeg would follow to another file of this machine."""
    other = write_clip(path.with_name("other.ts"), [GREY] * 3)
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
    return path


def names_files(path: Path) -> Path:
    """Return a list of files to join, which FFmpeg would open."""
    other = write_clip(path.with_name("other.mp4"), [GREY] * 3)
    path.write_text(f"ffconcat version 1.0\nfile '{other}'\n")
    return path


def noise(count: int) -> list[Image.Image]:
    levels = np.random.default_rng(0).integers(0, 256, (count, 96, 128, 3), np.uint8)
    return [Image.fromarray(picture) for picture in levels]


def half(path: Path) -> Path:
    whole = write_clip(path, noise(10)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def long(path: Path) -> Path:
    return write_clip(path, [GREY] * 3, [0.0, 60.0, 121.0])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (text, "is no video that can be read"),
        (photo, "is no video that can be read"),
        (playlist, "is no video that can be read"),
        (names_files, "is no video that can be read"),
        (half, "is no video that can be read"),
        (long, "is longer than 120 seconds; cut it"),
        (lambda path: path, "There is no file"),
    ],
    ids=["text", "photo", "play list", "list of files", "half", "long", "absent"],
)
def test_what_can_not_be_read_gets_a_sentence(
    make: Callable[[Path], Path], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(VideoError, match=sentence):
        video_seconds(make(tmp_path / "clip.mp4"))


def test_the_frames_are_bounded_whatever_length_the_file_gives(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is longer than 120 seconds"):
        list(read_frames(long(tmp_path / "clip.mp4"), 5.0))
