"""The Triplet tab: three photos, and which two share an expression."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from demo.answers import PAIRS, Distances, Pair, TripletAnswer
from demo.drawing import shared_scale, triangle
from demo.predictors import CLOSE_BELOW, Photo, TripletComparer
from demo.tabs.context import ASK_AGAIN_SECONDS, PageContext, placeholder, unanswered
from demo.tabs.examples import TRIPLETS, Examples, paths
from demo.tabs.model_card import ModelCardAccordion, hide_model_card, show_model_card
from demo.tabs.outcomes import OutcomesSection
from demo.tabs.photo_input import ASKED_AGAIN, LATEST, QUEUED, PhotoInput
from demo.tabs.search import SearchSection
from registry.catalog import DLN
from registry.errors import RegistryError

HOW_TO_READ = (
    "The closer two faces stand, the more alike they are: 0 is the same, 2 the opposite. "
    "Both triangles have one scale; the thick edge joins the closest pair."
)
CLOSE_CALL = (
    f"The two smallest distances differ by less than {CLOSE_BELOW:g}: so close, people chose the "
    "same pair as this network in 3 of 5 triplets, and with a larger difference in 9 of 10."
)
ADD_PHOTOS = "Add three photos, each with a face, and read here which two share an expression."
STILL_MISSING = {
    1: "One more photo, and the answer appears here.",
    2: "Two more photos to go.",
    3: ADD_PHOTOS,
}


class TripletTab:
    """Builds the tab's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._comparer = TripletComparer(context.server)
        self.problem = gr.HTML(elem_classes="problem", apply_default_css=False)
        gr.HTML(context.shadow_notice(DLN), apply_default_css=False)
        self.ask_again = gr.Timer(ASK_AGAIN_SECONDS, active=False)
        with gr.Row(elem_classes="photos"):
            self.photo_inputs = [self._photo_input(number) for number in (1, 2, 3)]
        examples = Examples("Or try three synthetic people", [paths(*names) for names in TRIPLETS])
        self.answer = gr.HTML(
            placeholder(ADD_PHOTOS), elem_id="triplet-answer", apply_default_css=False
        )
        self.card = ModelCardAccordion()
        if context.search is not None:
            SearchSection(context, context.search, self.photo_inputs)
        if context.photos is not None:
            OutcomesSection(context.photos)
        for photo_input in self.photo_inputs:
            for event in photo_input.change_events():
                self._answer_after(event)
        outputs = [output for photo_input in self.photo_inputs for output in photo_input.outputs]
        self._answer_after(examples.click(self._load, outputs, **QUEUED))
        self.ask_again.tick(self.reply, self._inputs, self._outputs, **ASKED_AGAIN)

    @property
    def _inputs(self) -> list[Any]:
        return [part for photo in self.photo_inputs for part in (photo.state, photo.faces)]

    @property
    def _outputs(self) -> list[Any]:
        return [self.answer, *self.card.outputs, self.ask_again]

    def _photo_input(self, number: int) -> PhotoInput:
        with gr.Column(min_width=240):
            return PhotoInput(self._context, DLN, f"Photo {number}", number=number)

    def _load(self, photos: Sequence[Path]) -> list[Any]:
        loaded = zip(self.photo_inputs, photos, strict=True)
        return [value for photo_input, path in loaded for value in photo_input.load(str(path))]

    def _answer_after(self, event: Any) -> None:
        event.then(self.reply, self._inputs, self._outputs, **LATEST)

    def reply(self, *values: Photo | int | None) -> list[Any]:
        """Return the answer as HTML, or what is still needed, and the version's model card.

        Args:
            values: Photo and face index of each of the three photos in turn.
        """
        photos = [photo for photo in values[::2] if isinstance(photo, Photo)]
        faces = [int(index or 0) for index in values[1::2]]  # type: ignore[arg-type]
        if missing := len(self.photo_inputs) - len(photos):
            return [placeholder(STILL_MISSING[missing]), *hide_model_card(), gr.Timer(active=False)]
        try:
            answer = self._comparer.compare(photos, faces)
        except RegistryError as error:
            return [unanswered(error), *hide_model_card(), gr.Timer(active=True)]
        self._context.shadow.compare(photos, faces, answer)
        html = self._answer_html(answer, photos, faces)
        card = show_model_card(answer.provenance.model, answer.provenance.version)
        return [html, *card, gr.Timer(active=False)]

    def _answer_html(
        self, answer: TripletAnswer, photos: Sequence[Photo], faces: Sequence[int]
    ) -> str:
        crops = [
            photo_input.crop_url(photo, index)
            for photo_input, photo, index in zip(self.photo_inputs, photos, faces, strict=True)
        ]
        triangles = [answer.distances, answer.identity_distances]
        scale = shared_scale(*(distances for distances in triangles if distances))
        pair = None if answer.tie else answer.pair
        figures = _figure("Expression", "decides", answer.distances, scale, crops, pair)
        if answer.identity_distances:
            role = "who they are, for comparison"
            figures += _figure("Identity", role, answer.identity_distances, scale, crops)
        close = f"<p>{CLOSE_CALL}</p>" if answer.close else ""
        body = f'{close}<div class="triangles">{figures}</div><p class="hint">{HOW_TO_READ}</p>'
        return self._context.answer_html(DLN, answer.sentence, body, answer.provenance)


def _figure(
    title: str,
    role: str,
    distances: Distances,
    scale: float,
    crops: Sequence[str],
    pair: Pair | None = None,
) -> str:
    """Return a triangle and its distances as HTML; the edge of `pair` is thick."""
    numbers = ", ".join(
        f"{one} and {other} {d:.2f}" for (one, other), d in zip(PAIRS, distances, strict=True)
    )
    label = f"{title} distances as a triangle: {numbers}."
    svg = triangle(distances, scale, label=label, pair=pair, faces=crops)
    rows = "".join(
        f"<li{' class=closest' if edge == pair else ''}>{edge[0]}–{edge[1]} "
        f"<b>{distance:.2f}</b></li>"
        for edge, distance in zip(PAIRS, distances, strict=True)
    )
    return (
        f"<figure><figcaption><b>{title}</b> {role}</figcaption>{svg}"
        f'<ul class="distances">{rows}</ul></figure>'
    )
