"""A part of the Emotion tab: the emotion of the face before the camera, while it streams."""

from html import escape
from typing import Any

import gradio as gr

from demo.live_emotion import SMOOTHED_SECONDS, LiveAnswer, LiveEmotion, Smoothed, decoded_frame
from demo.predictors import EmotionRecognizer
from demo.tabs.context import PageContext, notice, placeholder
from demo.tabs.emotion_bars import bars_html
from demo.tabs.photo_input import ASKED_AGAIN
from demo.visitor_files import LIFETIME_SECONDS
from registry.catalog import EMOTION
from registry.errors import RegistryError
from registry.photos import PhotoError

STREAM_EVERY_SECONDS = 0.25
"""How often the browser sends a frame."""
STREAM_SECONDS = 120
"""How long one stream may take of the page's time: then it ends, and others have their turn."""
STREAMS_AT_ONCE = 2
FRAME_PX = (640, 480)
START = (
    'Allow the camera and press "Record": here stands which emotion the face before it shows. '
    "Nothing is recorded."
)
EXPLANATION = (
    f"Averaged over about {SMOOTHED_SECONDS:g} second: older frames count less and less. Frames "
    "stay in memory while they are worked on, and are neither written to disk nor kept."
)
CAMERA = gr.WebcamOptions(
    mirror=True,
    constraints={"video": {"width": {"ideal": FRAME_PX[0]}, "height": {"ideal": FRAME_PX[1]}}},
)
STREAMED: dict[str, Any] = ASKED_AGAIN | {
    "concurrency_id": "camera",
    "concurrency_limit": STREAMS_AT_ONCE,
    "trigger_mode": "multiple",
    "stream_every": STREAM_EVERY_SECONDS,
    "time_limit": STREAM_SECONDS,
    "preprocess": False,
}
"""Arguments of the stream's event: without preprocessing no frame is written to a file.

A stream is one event in the queue. A frame that comes while another is worked on takes the place of
the one that waits, so that frames never queue.
"""


class WebcamSection:
    """Builds the section's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._live = LiveEmotion(EmotionRecognizer(context.server), context.reader.cropper)
        with gr.Accordion("Live, from the camera", open=False, elem_id="live"), gr.Row():
            with gr.Column(min_width=280):
                camera = gr.Image(
                    label="Camera",
                    sources=["webcam"],
                    streaming=True,
                    webcam_options=CAMERA,
                    buttons=[],
                    elem_id="camera",
                )
            with gr.Column(min_width=280):
                answer = gr.HTML(placeholder(START), elem_id="live-answer", apply_default_css=False)
        smoothed = gr.State(None, time_to_live=LIFETIME_SECONDS)
        camera.stream(self.reply, [camera, smoothed], [answer, smoothed], **STREAMED)

    def reply(
        self, frame: dict[str, Any] | None, smoothed: Smoothed | None
    ) -> tuple[str, Smoothed | None]:
        """Return the answer about a frame as HTML, and the average to give with the next one."""
        if not frame:
            return placeholder(START), None
        try:
            live = self._live.answer(decoded_frame(frame["url"]), smoothed)
        except (PhotoError, RegistryError) as error:
            return notice(str(error)), smoothed
        return self._answer_html(live), live.smoothed

    def _answer_html(self, live: LiveAnswer) -> str:
        answer = live.answer
        heading = answer.sentence[:1].upper() + answer.sentence[1:]
        several = f" The largest of {live.faces} faces counts." if live.faces > 1 else ""
        hint = f'<p class="hint">{escape(EXPLANATION + several)}</p>'
        body = f"{bars_html(answer.probabilities)}{hint}"
        return self._context.answer_html(EMOTION, heading, body, answer.provenance)
