"""One photo: the emotion of the face chosen."""

from functools import partial
from html import escape
from typing import Any

import gradio as gr

from demo.predictors import NOT_SURE_BELOW, EmotionAnswer, EmotionRecognizer, Photo
from demo.tabs import examples
from demo.tabs.house import House, empty, notice
from demo.tabs.photo import AS_SENT, LATEST, QUEUED, PhotoPlace
from registry.catalog import EMOTION
from registry.errors import RegistryError

ASK = "Add a photo of one or more faces, and read here which emotion each shows."
THRESHOLD = f'Below {NOT_SURE_BELOW:.0%} for the likeliest emotion, the answer is "not sure".'


class EmotionTab:
    """The tab; built where it is made."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._recognizer = EmotionRecognizer(house.served)
        with gr.Row():
            with gr.Column(min_width=280):
                self.place = PhotoPlace(house, EMOTION, "Photo")
                buttons = self._examples()
            with gr.Column(min_width=280):
                self.answer = gr.HTML(empty(ASK), elem_id="emotion-answer", apply_default_css=False)
        self._follow(buttons)

    def _examples(self) -> list[tuple[gr.Button, str]]:
        if not (pictures := examples.pictures()):
            return []
        with gr.Row(elem_classes="examples"):
            gr.HTML('<p class="label">Or try a synthetic person</p>', min_width=160)
            return [
                (gr.Button(picture.stem.replace("_", " "), size="sm"), str(picture))
                for picture in pictures
            ]

    def _follow(self, buttons: list[tuple[gr.Button, str]]) -> None:
        place = self.place
        for button, path in buttons:
            taken = button.click(partial(place.take, path), outputs=place.outputs, **QUEUED)
            self._then_answer(taken)
        triggers = [place.photo.input, place.photo.clear]
        self._then_answer(gr.on(triggers, place.take_sent, place.photo, place.outputs, **AS_SENT))
        asked, shown = [place.state, place.faces], [place.photo, place.note]
        self._then_answer(place.faces.input(place.show, asked, shown, **LATEST))

    def _then_answer(self, event: Any) -> None:
        event.then(self._reply, [self.place.state, self.place.faces], self.answer, **QUEUED)

    def _reply(self, photo: Photo | None, which: int | None) -> str:
        """Return the answer as HTML, or what is still needed."""
        if photo is None:
            return empty(ASK)
        try:
            (answer,) = self._recognizer.recognise(photo, [which or 0])
        except RegistryError as error:
            return notice(str(error))
        return (
            f'<div class="answer"><p class="verdict">{_verdict(answer)}</p>{_bars(answer)}'
            f'<p class="hint">{THRESHOLD}</p>'
            f"{self._house.signed(answer.stamp)}{self._house.problem(EMOTION)}</div>"
        )


def _verdict(answer: EmotionAnswer) -> str:
    return f"Face {answer.which + 1}: {escape(answer.sentence)}"


def _bars(answer: EmotionAnswer) -> str:
    """Return the probabilities as bars, highest first."""
    rows = "".join(
        f'<li><span class="name">{escape(label)}</span>'
        f'<span class="track"><span class="bar" style="width:{share:.1%}"></span></span>'
        f'<span class="share">{share:.0%}</span></li>'
        for label, share in answer.probabilities.items()
    )
    return f'<ol class="bars{"" if answer.sure else " unsure"}">{rows}</ol>'
