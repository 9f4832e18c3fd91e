"""What the sections share that work on a file for a while: its upload, start, stop and progress."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, no_type_check

import gradio as gr

from demo.tabs.context import notice, placeholder
from demo.tabs.photo_input import QUEUED
from registry.errors import RegistryError
from registry.photos import PhotoError

LONG: dict[str, Any] = QUEUED | {"concurrency_id": "long", "concurrency_limit": 1}
"""Arguments of an event that works for a while: one at a time, beside the photos' queue."""
STOPPED = "Stopped. Start again for an answer."


class LongWork:
    """A file to upload, buttons to start and to stop, and where progress and results stand.

    Args:
        label: What to upload.
        suffixes: How the names of such files end.
        start: What the button says that starts the work.
        name: How the elements' names begin.
    """

    def __init__(self, label: str, suffixes: Sequence[str], start: str, name: str) -> None:
        self.file = gr.File(
            label=label, file_types=list(suffixes), height=130, elem_id=f"{name}-file"
        )
        with gr.Row():
            self.start = gr.Button(start)
            self.stop = gr.Button("Stop")
        self.answer = gr.HTML(elem_id=f"{name}-answer", apply_default_css=False)

    def connect(
        self,
        work: Callable[..., Iterator[list[Any]]],
        outputs: Sequence[Any],
        inputs: Sequence[Any] = (),
    ) -> None:
        """Do the work when it is started.

        Args:
            work: Takes the file and the values of `inputs`; yields the answer as HTML and the
                values of `outputs`, first with the progress and at last with the results.
            outputs: More components to fill.
            inputs: More components to read.
        """
        nothing = [gr.skip() for _ in outputs]

        @no_type_check  # Gradio asks whether it is a generator, which a checked one hides in tests
        def run(file: dict[str, Any] | None, *values: Any) -> Iterator[list[Any]]:
            if file is None:
                yield [placeholder(f"{self.file.label}: choose a file first."), *nothing]
                return
            try:
                yield from work(Path(file["path"]), *values)
            except (PhotoError, RegistryError) as error:
                yield [notice(str(error)), *nothing]

        run.__module__ = work.__module__  # the part of the page that the metrics name
        event = self.start.click(
            run,
            [self.file, *inputs],
            [self.answer, *outputs],
            **LONG | {"preprocess": False},
        )
        self.stop.click(
            lambda: placeholder(STOPPED),
            outputs=self.answer,
            cancels=[event],
            queue=False,
            api_visibility="private",
        )


def progress_html(done: int, total: int, unit: str) -> str:
    """Return how far the work is as HTML."""
    share = min(1.0, done / total) if total else 0.0
    text = f"{done:,} of {total:,} {unit}" if total else f"{done:,} {unit}"
    return (
        f'<p class="empty" role="status">{text}<br>'
        f'<progress value="{share:.3f}" aria-label="Progress"></progress></p>'
    )
