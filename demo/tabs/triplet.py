"""Three photos: which two share an expression."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from demo.drawing import per_unit, triangle
from demo.predictors import PAIRS, Distances, Photo, TripletAnswer, TripletComparer
from demo.tabs import examples
from demo.tabs.card import CardFold, card_of, no_card
from demo.tabs.house import PageContext, empty, notice
from demo.tabs.photo import QUEUED, PhotoPlace
from registry.catalog import DLN
from registry.errors import RegistryError

HOW_TO_READ = (
    "The closer two faces stand, the more alike they are: 0 is the same, 2 the opposite. "
    "Both triangles have one scale; the thick edge joins the closest pair."
)
ASK = "Add three photos, each with a face, and read here which two share an expression."
MORE = {1: "One more photo, and the answer appears here.", 2: "Two more photos to go."}


class TripletTab:
    """The tab; built where it is made."""

    def __init__(self, house: PageContext) -> None:
        self._house = house
        self._comparer = TripletComparer(house.served)
        self.state = gr.HTML(elem_classes="state", apply_default_css=False)
        with gr.Row(elem_classes="photos"):
            self.places = [self._place(number) for number in (1, 2, 3)]
        tried = examples.Examples("Or try three synthetic people", examples.triplets())
        self.answer = gr.HTML(empty(ASK), elem_id="triplet-answer", apply_default_css=False)
        self.card = CardFold()
        for event in (event for place in self.places for event in place.follow()):
            self._then_answer(event)
        outputs = [output for place in self.places for output in place.outputs]
        self._then_answer(tried.chosen(self._take, outputs, **QUEUED))

    def _place(self, number: int) -> PhotoPlace:
        with gr.Column(min_width=240):
            return PhotoPlace(self._house, DLN, f"Photo {number}")

    def _take(self, pictures: Sequence[Path]) -> list[Any]:
        taken = zip(self.places, pictures, strict=True)
        return [output for place, path in taken for output in place.take(str(path))]

    def _then_answer(self, event: Any) -> None:
        asked = [part for place in self.places for part in (place.state, place.faces)]
        event.then(self.reply, asked, [self.answer, *self.card.outputs], **QUEUED)

    def reply(self, *given: Photo | int | None) -> list[Any]:
        """Return the answer as HTML, or what is still needed, and the card of who answered."""
        photos = [photo for photo in given[::2] if isinstance(photo, Photo)]
        which = [int(face or 0) for face in given[1::2]]  # type: ignore[arg-type]
        if len(photos) < len(PAIRS):
            return [empty(MORE.get(len(PAIRS) - len(photos), ASK)), *no_card()]
        try:
            answer = self._comparer.compare(photos, which)
        except RegistryError as error:
            return [notice(str(error)), *no_card()]
        told = self._told(answer, photos, which)
        return [told, *card_of(answer.stamp.model, answer.stamp.version)]

    def _told(self, answer: TripletAnswer, photos: Sequence[Photo], which: Sequence[int]) -> str:
        faces = [
            place.crop(photo, face)
            for place, photo, face in zip(self.places, photos, which, strict=True)
        ]
        known = [answer.distances, answer.identity_distances]
        scale = per_unit(*(distances for distances in known if distances))
        figures = _figure("Expression", "decides", answer.distances, scale, faces, answer)
        if answer.identity_distances:
            why = "who they are, for comparison"
            figures += _figure("Identity", why, answer.identity_distances, scale, faces, None)
        parts = f'<div class="triangles">{figures}</div><p class="hint">{HOW_TO_READ}</p>'
        return self._house.answer(DLN, answer.sentence, parts, answer.stamp)


def _figure(
    title: str,
    role: str,
    distances: Distances,
    scale: float,
    faces: Sequence[str],
    answer: TripletAnswer | None,
) -> str:
    pair = answer.pair if answer and not answer.tie else None
    said = [f"{one} and {other} {d:.2f}" for (one, other), d in zip(PAIRS, distances, strict=True)]
    told = f"{title} distances as a triangle: {', '.join(said)}."
    drawn = triangle(distances, scale, told=told, pair=pair, faces=faces)
    rows = "".join(
        f"<li{' class=closest' if edge == pair else ''}>{edge[0]}–{edge[1]} "
        f"<b>{distance:.2f}</b></li>"
        for edge, distance in zip(PAIRS, distances, strict=True)
    )
    return (
        f"<figure><figcaption><b>{title}</b> {role}</figcaption>{drawn}"
        f'<ul class="distances">{rows}</ul></figure>'
    )
