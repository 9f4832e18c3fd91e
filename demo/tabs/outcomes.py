"""A part of the Triplet tab: the triplets of an evaluation, one after the other.

Only where the page was started with the data sets to show.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from demo.drawing import jpeg_url
from demo.prepared_photos import PreparedPhotos
from demo.tabs.context import answer_box, notice, placeholder
from demo.tabs.photo_input import LATEST
from demo.triplet_outcomes import (
    TYPES,
    DifferentData,
    Shown,
    TripletOutcome,
    TripletOutcomes,
    VersionAnswer,
)
from registry.errors import RegistryError

ALL_TYPES = "All"
NO_SECOND = "no other"
SHOWN: dict[str, Shown] = {
    "All": "all",
    "The version is wrong": "wrong",
    "It is right, the other wrong": "only first right",
    "It is wrong, the other right": "only second right",
}
NEEDS_TWO = ("only first right", "only second right")
ROLES = ("Anchor", "Positive", "Negative")
HOW_TO = (
    "The triplets of an evaluation, and what a version answered. People found the negative to be "
    "the odd one; anchor and positive are alike. The margin is how much nearer these two are than "
    "the nearer of the other two pairs: above 0 the version agrees with people. Arrow keys leaf, "
    "too, while a button below has the focus."
)
NOTHING = (
    "No version has outcomes of triplets yet: `python -m training evaluate dln DATA` writes them."
)
LEAF_BY_ARROWS = """
element.closest("#outcomes").addEventListener("keydown", (event) => {
  const id = { ArrowLeft: "outcomes-previous", ArrowRight: "outcomes-next" }[event.key];
  if (!id || !event.target.closest("#outcomes-previous, #outcomes-next")) return;
  event.preventDefault();
  document.getElementById(id).click();
});
"""


class OutcomesSection:
    """Builds the section's components and connects their events.

    Args:
        photos: The data sets whose faces may be shown.
    """

    def __init__(self, photos: PreparedPhotos) -> None:
        self._photos, self._outcomes = photos, TripletOutcomes()
        with gr.Accordion("Leaf through evaluated triplets", open=False, elem_id="outcomes") as box:
            gr.HTML(f'<p class="privacy">{escape(HOW_TO)}</p>', apply_default_css=False)
            with gr.Row():
                evaluation = gr.Dropdown([], label="Evaluation", interactive=True)
                first = gr.Dropdown([], label="Version", interactive=True)
                second = gr.Dropdown([NO_SECOND], label="Beside", interactive=True)
            types = gr.Radio([ALL_TYPES, *TYPES], value=ALL_TYPES, label="Type of triplet")
            shown = gr.Radio(list(SHOWN), value=next(iter(SHOWN)), label="Which triplets")
            with gr.Row():
                back = gr.Button("Previous", elem_id="outcomes-previous")
                forward = gr.Button("Next", elem_id="outcomes-next")
            self.answer = gr.HTML(
                elem_id="outcomes-answer", apply_default_css=False, js_on_load=LEAF_BY_ARROWS
            )
            position = gr.State(0)
        chosen = [evaluation, first, second, types, shown]
        outputs = [self.answer, position]
        box.expand(self.evaluations, chosen[:3], chosen[:3], **LATEST).then(
            self.show_first, chosen, outputs, **LATEST
        )
        evaluation.input(self.versions, chosen[:3], chosen[1:3], **LATEST).then(
            self.show_first, chosen, outputs, **LATEST
        )
        for choice in chosen[1:]:
            choice.input(self.show_first, chosen, outputs, **LATEST)
        back.click(self.previous, [position, *chosen], outputs, **LATEST)
        forward.click(self.next, [position, *chosen], outputs, **LATEST)

    def evaluations(self, evaluation: str | None, first: str | None, second: str | None) -> Any:
        """Return the three dropdowns with what there is to choose now."""
        try:
            known = self._outcomes.evaluations()
        except RegistryError:  # `show_first` says why
            known = {}
        chosen = evaluation if evaluation in known else next(iter(known), None)
        dropdown = gr.Dropdown(list(known), value=chosen)
        return [dropdown, *_dropdowns(known.get(chosen or "", []), first, second)]

    def versions(self, evaluation: str | None, first: str | None, second: str | None) -> Any:
        """Return the dropdowns of the versions that an evaluation's outcomes are of."""
        return self.evaluations(evaluation, first, second)[1:]

    def show_first(self, *chosen: str | None) -> tuple[str, int]:
        """Return the first of the chosen triplets as HTML, and its position."""
        return self._show(0, chosen)

    def next(self, position: int, *chosen: str | None) -> tuple[str, int]:
        """Return the next triplet; after the last one comes the first."""
        return self._show(position + 1, chosen)

    def previous(self, position: int, *chosen: str | None) -> tuple[str, int]:
        """Return the triplet before; before the first one comes the last."""
        return self._show(position - 1, chosen)

    def _show(self, position: int, chosen: Sequence[str | None]) -> tuple[str, int]:
        evaluation, first, second, types, wanted = chosen
        if not evaluation or not first:
            return self._nothing(), 0
        shown = SHOWN.get(wanted or "", "all")
        references = [first] if second in (None, NO_SECOND, first) else [first, str(second)]
        if shown in NEEDS_TWO and len(references) == 1:
            return placeholder("Choose another version beside it, to see where the two differ."), 0
        kept = TYPES if types not in TYPES else (str(types),)
        try:
            found = self._outcomes.select(evaluation, references, kept, shown)
        except (RegistryError, DifferentData) as error:
            return notice(str(error)), 0
        if not found:
            return placeholder("No triplet of this evaluation is of that kind."), 0
        position %= len(found)
        return self._triplet_html(found[position], position, len(found)), position

    def _nothing(self) -> str:
        try:
            self._outcomes.evaluations()
        except RegistryError as error:
            return notice(str(error))
        return notice(NOTHING)

    def _triplet_html(self, outcome: TripletOutcome, position: int, count: int) -> str:
        order = [face for face in (1, 2, 3) if face != outcome.odd] + [outcome.odd]
        roles = dict(zip(order, ROLES, strict=True))
        figures = "".join(self._figure(outcome, face, roles[face]) for face in order)
        answers = "".join(_answer_row(answer, roles) for answer in outcome.answers)
        heading = f"Triplet {position + 1:,} of {count:,}, {outcome.type}"
        return answer_box(
            heading, f'<div class="triplet">{figures}</div><ul class="versions">{answers}</ul>'
        )

    def _figure(self, outcome: TripletOutcome, face: int, role: str) -> str:
        name = outcome.names[face - 1]
        pixels = self._photos.read(outcome.set, name)
        picture = f'<p class="empty">{escape(name)} is not on this machine.</p>'
        if pixels is not None:
            picture = f'<img src="{jpeg_url(pixels)}" alt="{role}: {escape(name)}">'
        votes = ""
        if outcome.votes:
            votes = f"{outcome.votes[face - 1]} of {sum(outcome.votes)} people find it odd"
        caption = f"<b>{role}</b> {escape(name)}<br>{votes}"
        return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _answer_row(answer: VersionAnswer, roles: dict[int, str]) -> str:
    odd = f"finds the {roles[answer.found].lower()} odd" if answer.found else "finds none odd"
    verdict = "right" if answer.right else "wrong"
    return (
        f'<li class="{verdict}"><b>{escape(answer.version)}</b> {odd}: {verdict}, '
        f"margin {answer.margin:+.3f}</li>"
    )


def _dropdowns(known: Sequence[str], first: str | None, second: str | None) -> list[gr.Dropdown]:
    chosen = first if first in known else next(iter(known), None)
    beside = second if second in known else NO_SECOND
    return [
        gr.Dropdown(list(known), value=chosen),
        gr.Dropdown([NO_SECOND, *known], value=beside),
    ]
