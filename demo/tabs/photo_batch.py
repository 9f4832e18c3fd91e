"""A part of the Emotion tab: the emotions of all photos in a zip, as a table."""

import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.photo_batch import (
    MOST_PHOTOS,
    AnsweredPhoto,
    PhotoBatch,
    batch_table,
    parquet_bytes,
)
from demo.predictors import EmotionRecognizer
from demo.tabs.context import PageContext
from demo.tabs.long_work import LongWork, progress_html
from demo.tabs.uploads import cache_file
from demo.visitor_files import UPLOAD_BYTES
from registry.catalog import EMOTION
from registry.console import printable
from registry.photos import PhotoError

REPORT_SECONDS = 1.0
MOST_NAMED = 10
"""How many photos that can't be used are named on the page."""
EXPLANATION = (
    f"A zip of at most {MOST_PHOTOS:,} photos and {UPLOAD_BYTES // 2**20} MiB; every face becomes "
    "a row of a table. For a folder of your own there is <code>python -m demo emotion</code>."
)


class PhotoBatchSection:
    """Builds the section's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        recognizer = EmotionRecognizer(context.server)
        self._batch = PhotoBatch(recognizer, context.reader.cropper)
        with gr.Accordion("Many photos in a zip", open=False, elem_id="batch"):
            gr.HTML(f'<p class="privacy">{EXPLANATION}</p>', apply_default_css=False)
            self._work = LongWork("Zip of photos", [".zip"], "Answer all photos", "batch")
            with gr.Row(visible=False) as self._files:
                self._csv = gr.DownloadButton("Download the table as CSV")
                self._parquet = gr.DownloadButton("Download it as Parquet")
        self._work.connect(self.photos, [self._files, self._csv, self._parquet])

    def photos(self, path: Path) -> Iterator[list[Any]]:
        """Yield the progress, and at last the table of a zip's photos."""
        photos = self._batch.photos(path)
        labels = self._context.server.model(EMOTION.name).version.labels
        answered: list[AnsweredPhoto] = []
        reported, unchanged = 0.0, [gr.skip(), gr.skip()]
        yield [progress_html(0, len(photos), "photos"), gr.Row(visible=False), *unchanged]
        for photo in self._batch.answers(photos):
            answered.append(photo)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                html = progress_html(len(answered), len(photos), "photos")
                yield [html, gr.skip(), *unchanged]
        table = batch_table(answered, labels)
        if table.empty:
            raise PhotoError("No face was found in the photos of this zip; take another one.")
        csv = cache_file(table.round(4).to_csv(index=False).encode(), "emotions.csv", self._csv)
        parquet = cache_file(parquet_bytes(table), "emotions.parquet", self._parquet)
        yield [self._answer_html(answered), gr.Row(visible=True), csv, parquet]

    def _answer_html(self, answered: Sequence[AnsweredPhoto]) -> str:
        faces = [answer for photo in answered for answer in photo.answers]
        heading = f"{len(faces):,} faces in {len(answered):,} photos"
        counts: dict[str, int] = {}
        for face in faces:
            counts[face.label] = counts.get(face.label, 0) + 1
        shares = sorted(counts.items(), key=lambda item: -item[1])
        rows = ", ".join(f"{escape(label)} {count:,}" for label, count in shares)
        body = f"<p>By the likeliest emotion: {rows}.</p>{_problems_html(answered)}"
        return self._context.answer_html(EMOTION, heading, body, faces[0].provenance)


def _problems_html(answered: Sequence[AnsweredPhoto]) -> str:
    """Return which photos have no row in the table, and why."""
    left_out = [photo for photo in answered if photo.problem]
    if not left_out:
        return ""
    named = "".join(
        f"<li>{escape(printable(photo.name))}: {escape(printable(photo.problem))}</li>"
        for photo in left_out[:MOST_NAMED]
    )
    more = len(left_out) - MOST_NAMED
    rest = f"<p>And {more:,} more.</p>" if more > 0 else ""
    return f"<p>{len(left_out):,} photos have no row:</p><ul>{named}</ul>{rest}"
