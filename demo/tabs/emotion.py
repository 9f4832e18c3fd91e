"""One photo: the emotion of the face chosen."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.predictors import NOT_SURE_BELOW, EmotionAnswer, EmotionRecognizer, Photo
from demo.tabs import examples
from demo.tabs.card import CardFold, card_of, no_card
from demo.tabs.house import PageContext, empty, notice
from demo.tabs.photo import QUEUED, PhotoPlace
from registry.catalog import EMOTION
from registry.errors import RegistryError

ASK = "Add a photo of one or more faces, and read here which emotion each shows."
THRESHOLD = f'Below {NOT_SURE_BELOW:.0%} for the likeliest emotion, the answer is "not sure".'


class EmotionTab:
    """The tab; built where it is made."""

    def __init__(self, house: PageContext) -> None:
        self._house = house
        self._recognizer = EmotionRecognizer(house.served)
        self.state = gr.HTML(elem_classes="state", apply_default_css=False)
        with gr.Row():
            with gr.Column(min_width=280):
                self.place = PhotoPlace(house, EMOTION, "Photo")
            with gr.Column(min_width=280):
                self.answer = gr.HTML(empty(ASK), elem_id="emotion-answer", apply_default_css=False)
                self.card = CardFold()
        singles = [[picture] for picture in examples.pictures()]
        tried = examples.Examples("Or try a synthetic person", singles)
        for event in self.place.follow():
            self._then_answer(event)
        self._then_answer(tried.chosen(self._take, self.place.outputs, **QUEUED))

    def _take(self, pictures: Sequence[Path]) -> list[Any]:
        return self.place.take(str(pictures[0]))

    def _then_answer(self, event: Any) -> None:
        outputs = [self.answer, *self.card.outputs]
        event.then(self.reply, [self.place.state, self.place.faces], outputs, **QUEUED)

    def reply(self, photo: Photo | None, which: int | None) -> list[Any]:
        """Return the answer as HTML, or what is still needed, and the card of who answered."""
        if photo is None:
            return [empty(ASK), *no_card()]
        try:
            (answer,) = self._recognizer.recognise(photo, [which or 0])
        except RegistryError as error:
            return [notice(str(error)), *no_card()]
        verdict = f"Face {answer.which + 1}: {answer.sentence}"
        parts = f'{_bars(answer)}<p class="hint">{THRESHOLD}</p>'
        told = self._house.answer(EMOTION, verdict, parts, answer.stamp)
        return [told, *card_of(answer.stamp.model, answer.stamp.version)]


def _bars(answer: EmotionAnswer) -> str:
    """Return the probabilities as bars, highest first."""
    rows = "".join(
        f'<li><span class="name">{escape(label)}</span>'
        f'<span class="track"><span class="bar" style="width:{share:.1%}"></span></span>'
        f'<span class="share">{share:.0%}</span></li>'
        for label, share in answer.probabilities.items()
    )
    return f'<ol class="bars{"" if answer.sure else " unsure"}">{rows}</ol>'
