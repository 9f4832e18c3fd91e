"""A part of the Transfer tab: the tab's expression on a face in every frame of a short clip."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

import gradio as gr

from demo.predictors import Photo, TripletComparer
from demo.tabs.context import PageContext
from demo.tabs.long_work import LongWork, progress_html
from demo.tabs.video import REPORT_SECONDS, SUFFIXES
from demo.transfer import ExpressionTransfer
from demo.video.frames import VideoError, video_seconds
from demo.video.transfer import (
    FRAMES_PER_SECOND,
    LONGEST_CLIP_SECONDS,
    ClipTransfer,
    WrittenFrame,
)
from demo.visitor_files import UPLOAD_BYTES, visitor_folder
from registry.catalog import PIX2PIXHD

EXPLANATION = (
    f"A clip of at most {LONGEST_CLIP_SECONDS:g} seconds and {UPLOAD_BYTES // 2**20} MiB, of a "
    "person who agrees to it. The largest face at its beginning takes on the expression chosen "
    "above. That takes minutes. The new clip has no sound, and every frame is marked."
)
ASK_CONSENT = "Tick above that the people in the pictures agree, and start again."
ADD_EXPRESSION = "Add a photo above of the expression to take on, and start again."
NAME = "expression-transfer.mp4"


class ClipSection:
    """Builds the section's components and connects their events.

    Args:
        context: The models.
        options: The tab's components with the photo of the expression, the face in it, whose
            expression is taken on, the strength, and the consent.
        neutral: What the third of them is for a neutral expression.
    """

    def __init__(self, context: PageContext, options: Sequence[Any], *, neutral: str) -> None:
        self._context, self._neutral = context, neutral
        self._transfer = ClipTransfer(
            ExpressionTransfer(context.server),
            TripletComparer(context.server),
            context.reader.cropper,
        )
        with gr.Accordion("On a short clip", open=False, elem_id="clip"):
            gr.HTML(f'<p class="privacy">{EXPLANATION}</p>', apply_default_css=False)
            self._work = LongWork("Clip", SUFFIXES, "Make the clip", "clip")
            self._download = gr.DownloadButton("Download the clip", visible=False)
        self._work.connect(self.frames, [self._download], options)

    def frames(
        self,
        path: Path,
        driver: Photo | None,
        face_index: int | None,
        target: str | None,
        strength: int | float | None,
        agreed: bool | None,
    ) -> Iterator[list[Any]]:
        """Yield the progress, and at last the new clip.

        Args:
            path: The clip.
            driver: The photo of the expression, if there is one.
            face_index: The chosen face in it.
            target: Whose expression is taken on.
            strength: How far to go.
            agreed: Whether the people agree.
        """
        if not agreed:
            raise VideoError(ASK_CONSENT)
        if target == self._neutral:
            driver = None
        elif driver is None:
            raise VideoError(ADD_EXPRESSION)
        yield from self._written(path, driver, int(face_index or 0), float(strength or 0))

    def _written(
        self, path: Path, driver: Photo | None, face_index: int, strength: float
    ) -> Iterator[list[Any]]:
        seconds = video_seconds(path, LONGEST_CLIP_SECONDS)
        visitor_folder().require_room(UPLOAD_BYTES)
        output = visitor_folder().path / uuid4().hex / NAME  # another may send the same clip
        output.parent.mkdir()
        total, reported = round(seconds * FRAMES_PER_SECOND), 0.0
        yield [progress_html(0, total, "frames"), gr.DownloadButton(visible=False)]
        written: list[WrittenFrame] = []
        frames = self._transfer.write(
            path, driver, output, driver_face=face_index, strength=strength
        )
        done = False
        try:
            for frame in frames:
                written.append(frame)
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    yield [progress_html(len(written), total, "frames"), gr.skip()]
            done = True
        finally:
            frames.close()
            if not done:
                rmtree(output.parent, ignore_errors=True)
        download = gr.DownloadButton(value=str(output), visible=True)
        yield [self._answer_html(written), download]

    def _answer_html(self, written: Sequence[WrittenFrame]) -> str:
        changed = [frame.provenance for frame in written if frame.provenance is not None]
        heading = f"The face is changed in {len(changed)} of {len(written)} frames"
        body = "<p>Each frame is marked as generated, and so is the file.</p>"
        return self._context.answer_html(PIX2PIXHD, heading, body, changed[-1])
