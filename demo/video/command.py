"""The terminal's `video`: the emotions of a video's faces over time, as a table and a plot."""

from pathlib import Path

from demo.arguments import Video
from demo.models import ModelServer
from demo.predictors import EmotionRecognizer
from demo.terminal import provenance, write_errors
from demo.video.emotions import (
    FRAMES_PER_SECOND,
    AnsweredFrame,
    FaceMoment,
    VideoEmotions,
    emotions_csv,
    emotions_plot,
)
from demo.video.frames import VideoError, video_seconds
from registry import console
from registry.catalog import EMOTION
from registry.console import print_json, printable
from registry.faces import FaceCropper
from registry.files import atomic_write


def video(command: Video) -> None:
    """Write the emotions of a video's faces as CSV, and a plot of them beside it.

    Raises:
        VideoError: It is no video, too long, too large or broken, or shows no face.
        NotWritten: A file can't be written.
        RegistryError: No version can answer.
    """
    count = max(1, round(video_seconds(command.video) * FRAMES_PER_SECOND))
    server = ModelServer(poll_seconds=None)
    labels = server.model(EMOTION.name).version.labels
    emotions = VideoEmotions(EmotionRecognizer(server), FaceCropper())
    frames = emotions.frames(command.video)
    answered = list(console.track(frames, "frames answered", total=count))
    moments = [face for frame in answered for face in frame.faces]
    if not moments:
        raise VideoError(f"{command.video.name} shows no face; take a video that does.")
    _write(command.output, emotions_csv(moments, labels).encode())
    _write(command.plot, emotions_plot(moments, labels))
    _show(command, answered, moments)


def _write(path: Path, content: bytes) -> None:
    with write_errors(path), atomic_write(path) as part:
        part.write_bytes(content)


def _show(command: Video, answered: list[AnsweredFrame], moments: list[FaceMoment]) -> None:
    faces = len({each.face for each in moments})
    source = next(frame.provenance for frame in reversed(answered) if frame.provenance)
    written = {"table": str(command.output), "plot": str(command.plot)}
    counts = {"frames": len(answered), "faces": faces, "seconds_of_video": answered[-1].seconds}
    if command.json:
        print_json({"file": str(command.video)} | written | counts | vars(source))
        return
    print(printable(f"{command.output} holds {len(moments)} rows of {faces} faces over time;"))
    print(printable(f"{command.plot} shows them."))
    print(f"  {provenance(vars(source))}")
