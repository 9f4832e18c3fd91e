"""The Emotion tab: one photo, and the emotion of the chosen face."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.answers import EmotionAnswer
from demo.predictors import NOT_SURE_BELOW, EmotionRecognizer, Photo
from demo.tabs.context import PageContext, notice, placeholder
from demo.tabs.examples import Examples, example_photos
from demo.tabs.model_card import ModelCardAccordion, hide_model_card, show_model_card
from demo.tabs.photo_input import QUEUED, PhotoInput
from registry.catalog import EMOTION
from registry.errors import RegistryError

ADD_PHOTO = "Add a photo of one or more faces, and read here which emotion each shows."
THRESHOLD = f'Below {NOT_SURE_BELOW:.0%} for the likeliest emotion, the answer is "not sure".'


class EmotionTab:
    """Builds the tab's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._recognizer = EmotionRecognizer(context.server)
        self.problem = gr.HTML(elem_classes="problem", apply_default_css=False)
        with gr.Row():
            with gr.Column(min_width=280):
                self.photo_input = PhotoInput(context, EMOTION, "Photo")
            with gr.Column(min_width=280):
                self.answer = gr.HTML(
                    placeholder(ADD_PHOTO), elem_id="emotion-answer", apply_default_css=False
                )
                self.card = ModelCardAccordion()
        examples = Examples("Or try a synthetic person", [[path] for path in example_photos()])
        for event in self.photo_input.change_events():
            self._answer_after(event)
        self._answer_after(examples.click(self._load, self.photo_input.outputs, **QUEUED))

    def _load(self, photos: Sequence[Path]) -> list[Any]:
        return self.photo_input.load(str(photos[0]))

    def _answer_after(self, event: Any) -> None:
        inputs = [self.photo_input.state, self.photo_input.faces]
        event.then(self.reply, inputs, [self.answer, *self.card.outputs], **QUEUED)

    def reply(self, photo: Photo | None, face_index: int | None) -> list[Any]:
        """Return the answer as HTML, or what is still needed, and the version's model card."""
        if photo is None:
            return [placeholder(ADD_PHOTO), *hide_model_card()]
        try:
            (answer,) = self._recognizer.recognise(photo, [face_index or 0])
        except RegistryError as error:
            return [notice(str(error)), *hide_model_card()]
        heading = f"Face {answer.face_index + 1}: {answer.sentence}"
        body = f'{_bars(answer)}<p class="hint">{THRESHOLD}</p>'
        html = self._context.answer_html(EMOTION, heading, body, answer.provenance)
        return [html, *show_model_card(answer.provenance.model, answer.provenance.version)]


def _bars(answer: EmotionAnswer) -> str:
    """Return the probabilities as bars, highest first.

    Not gr.Label: each of its bars is a button without a function, eight stops for the Tab key.
    """
    rows = "".join(
        f'<li><span class="name">{escape(label)}</span>'
        f'<span class="track"><span class="bar" style="width:{share:.1%}"></span></span>'
        f'<span class="share">{share:.0%}</span></li>'
        for label, share in answer.probabilities.items()
    )
    return f'<ol class="bars">{rows}</ol>'
