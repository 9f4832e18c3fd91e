"""The Emotion tab: one photo, and the emotion of every face in it."""

from collections.abc import Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr

from demo.answers import EmotionAnswer
from demo.face_table import face_table
from demo.predictors import NOT_SURE_BELOW, EmotionRecognizer, Photo
from demo.tabs.context import ASK_AGAIN_SECONDS, PageContext, placeholder, unanswered
from demo.tabs.emotion_bars import bars_html
from demo.tabs.examples import Examples, example_photos
from demo.tabs.model_card import ModelCardAccordion, hide_model_card, show_model_card
from demo.tabs.photo_batch import PhotoBatchSection
from demo.tabs.photo_input import ASKED_AGAIN, LATEST, QUEUED, PhotoInput
from demo.tabs.uploads import cache_file
from demo.tabs.video import VideoSection
from demo.tabs.webcam import WebcamSection
from registry.catalog import EMOTION
from registry.errors import RegistryError

ADD_PHOTO = "Add a photo of one or more faces, and read here which emotion each shows."
THRESHOLD = (
    f'Below {NOT_SURE_BELOW:.0%} for the likeliest emotion the answer is "not sure", and names the '
    "likeliest ones. About faces unlike those it learned from, a version can be sure and wrong."
)
PRIOR = (
    "Before the face is seen, all emotions count as equally likely. If they are as frequent as in "
    "the photos that the version learned from: {}."
)
TABLE_NAME = "emotions.csv"
PHOTO_PX = 400


class EmotionTab:
    """Builds the tab's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._recognizer = EmotionRecognizer(context.server)
        self.problem = gr.HTML(elem_classes="problem", apply_default_css=False)
        gr.HTML(context.shadow_notice(EMOTION), apply_default_css=False)
        self.ask_again = gr.Timer(ASK_AGAIN_SECONDS, active=False)
        with gr.Row():
            with gr.Column(min_width=280):
                self.photo_input = PhotoInput(context, EMOTION, "Photo", height_px=PHOTO_PX)
            with gr.Column(min_width=280):
                self.answer = gr.HTML(
                    placeholder(ADD_PHOTO), elem_id="emotion-answer", apply_default_css=False
                )
                self.card = ModelCardAccordion()
        self._build_table()
        examples = Examples("Or try a synthetic person", [[path] for path in example_photos()])
        WebcamSection(context)
        VideoSection(context)
        PhotoBatchSection(context)
        for event in self.photo_input.change_events():
            self._answer_after(event)
        self._answer_after(examples.click(self._load, self.photo_input.outputs, **QUEUED))
        self.ask_again.tick(self.reply, self._inputs, self._outputs, **ASKED_AGAIN)

    def _build_table(self) -> None:
        with gr.Column(visible=False) as self.table_column:
            self.table = gr.Dataframe(
                interactive=False,
                label="All faces, from left to right",
                show_label=True,
                buttons=["copy"],
                elem_id="emotion-table",
            )
            self.download = gr.DownloadButton("Download the table as CSV", min_width=140)

    @property
    def _inputs(self) -> list[Any]:
        return [self.photo_input.state, self.photo_input.faces]

    @property
    def _outputs(self) -> list[Any]:
        """The components that `reply` fills."""
        group = [self.photo_input.photo, self.table_column, self.table, self.download]
        return [self.answer, *self.card.outputs, *group, self.ask_again]

    def _load(self, photos: Sequence[Path]) -> list[Any]:
        return self.photo_input.load(str(photos[0]))

    def _answer_after(self, event: Any) -> None:
        event.then(self.reply, self._inputs, self._outputs, **LATEST)

    def reply(self, photo: Photo | None, face_index: int | None) -> list[Any]:
        """Return the answer as HTML, or what is still needed; the version's model card; the table.

        Args:
            photo: The photo, if there is one.
            face_index: The chosen face, whose answer is shown in full.
        """
        if photo is None:
            return self._without_answer(placeholder(ADD_PHOTO), ask_again=False)
        try:
            answers = self._recognizer.recognise(photo)
        except RegistryError as error:
            return self._without_answer(unanswered(error), ask_again=True)
        self._context.shadow.recognise(photo, answers)
        chosen = answers[face_index or 0]
        card = show_model_card(chosen.provenance.model, chosen.provenance.version)
        html = self._answer_html(photo, chosen)
        return [
            html,
            *card,
            *self._group(photo, chosen.face_index, answers),
            gr.Timer(active=False),
        ]

    def _without_answer(self, html: str, *, ask_again: bool) -> list[Any]:
        group = [gr.skip(), gr.Column(visible=False), None, gr.skip()]
        return [html, *hide_model_card(), *group, gr.Timer(active=ask_again)]

    def _answer_html(self, photo: Photo, answer: EmotionAnswer) -> str:
        if len(photo.faces) > 1:
            number = self.photo_input.face_number(photo, answer.face_index)
            heading = f"Face {number}: {answer.sentence}"
        else:
            heading = answer.sentence[:1].upper() + answer.sentence[1:]
        body = (
            f'{bars_html(answer.probabilities)}{_prior_html(answer)}<p class="hint">{THRESHOLD}</p>'
        )
        return self._context.answer_html(EMOTION, heading, body, answer.provenance)

    def _group(self, photo: Photo, chosen: int, answers: Sequence[EmotionAnswer]) -> list[Any]:
        """Return the photo with a label at each face and the table, where there are several."""
        if len(answers) == 1:
            return [gr.skip(), gr.Column(visible=False), None, gr.skip()]
        ordered = [answers[index] for index in photo.left_to_right]
        numbers = [self.photo_input.face_number(photo, each.face_index) for each in ordered]
        table = face_table(ordered, numbers)
        csv = table.to_csv(index=False).encode()
        return [
            self.photo_input.picture(photo, chosen, [_short(answer) for answer in answers]),
            gr.Column(visible=True),
            table,
            cache_file(csv, TABLE_NAME, self.download),
        ]


def _prior_html(answer: EmotionAnswer) -> str:
    """Return as HTML how likely the emotions are before the face is seen, and the other answer."""
    if answer.in_the_wild is None:
        return ""
    likeliest = islice(answer.in_the_wild.items(), 2)
    named = ", ".join(f"{label} {share:.0%}" for label, share in likeliest)
    return f'<p class="hint">{escape(PRIOR.format(named))}</p>'


def _short(answer: EmotionAnswer) -> str:
    return answer.label if answer.sure else f"{answer.label}?"
