"""A part of the Emotion tab: the emotions of the faces in a short video, over time."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from demo.drawing import png_url
from demo.predictors import EmotionRecognizer
from demo.tabs.context import PageContext
from demo.tabs.long_work import LongWork, progress_html
from demo.tabs.uploads import cache_file
from demo.video.emotions import (
    FRAMES_PER_SECOND,
    MOST_PLOTTED,
    AnsweredFrame,
    FaceMoment,
    VideoEmotions,
    emotions_csv,
    emotions_plot,
)
from demo.video.frames import LONGEST_SECONDS, VideoError, video_seconds
from demo.visitor_files import UPLOAD_BYTES
from registry.catalog import EMOTION

SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv")
REPORT_SECONDS = 1.0
TABLE_NAME = "emotions-over-time.csv"
EXPLANATION = (
    f"A video of at most {LONGEST_SECONDS:g} seconds and {UPLOAD_BYTES // 2**20} MiB. "
    f"{FRAMES_PER_SECOND:g} frames of each second are answered; a face keeps its number while it "
    "moves."
)


class VideoSection:
    """Builds the section's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        recognizer = EmotionRecognizer(context.server)
        self._emotions = VideoEmotions(recognizer, context.reader.cropper)
        with gr.Accordion("A short video", open=False, elem_id="video"):
            gr.HTML(f'<p class="privacy">{EXPLANATION}</p>', apply_default_css=False)
            self._work = LongWork("Video", SUFFIXES, "Answer over time", "video")
            self._download = gr.DownloadButton("Download the table as CSV", visible=False)
        self._work.connect(self.frames, [self._download])

    def frames(self, path: Path) -> Iterator[list[Any]]:
        """Yield the progress, and at last the plot and the table of a video."""
        count = max(1, math.ceil(video_seconds(path) * FRAMES_PER_SECOND))
        labels = self._context.server.model(EMOTION.name).version.labels
        answered: list[AnsweredFrame] = []
        reported = 0.0
        yield [progress_html(0, count, "frames"), gr.DownloadButton(visible=False)]
        for frame in self._emotions.frames(path):
            answered.append(frame)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                yield [progress_html(len(answered), count, "frames"), gr.skip()]
        moments = [face for frame in answered for face in frame.faces]
        if not moments:
            raise VideoError("The video shows no face; take one that does.")
        table = cache_file(emotions_csv(moments, labels).encode(), TABLE_NAME, self._download)
        html = self._answer_html(answered, moments, labels)
        yield [html, gr.DownloadButton(value=table, visible=True)]

    def _answer_html(
        self, answered: list[AnsweredFrame], moments: list[FaceMoment], labels: tuple[str, ...]
    ) -> str:
        faces = len({each.face for each in moments})
        source = next(frame.provenance for frame in reversed(answered) if frame.provenance)
        assert source is not None
        heading = f"{'One face' if faces == 1 else f'{faces} faces'} in {len(answered)} frames"
        few = f" The plot shows the {MOST_PLOTTED} seen longest." if faces > MOST_PLOTTED else ""
        plot = png_url(emotions_plot(moments, labels))
        body = (
            f'<img class="plot" src="{plot}" alt="The probability of each emotion over time, for '
            f'each face; the table has the numbers.">{f"<p>{few}</p>" if few else ""}'
        )
        return self._context.answer_html(EMOTION, heading, body, source)
