"""A part of the Triplet tab: the faces of the operator's photos nearest in expression to a photo's.

Only where the page was started with a folder or a table of faces to search.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from demo.face_labels import LABELS
from demo.predictors import Photo
from demo.search.background_search import BackgroundSearch, FoundFaces
from demo.search.face_rows import BadTable
from demo.search.matches import NoIdentity, none_found
from demo.search.sheet import match_html
from demo.search.tables import IndexFailed
from demo.tabs.context import PageContext, notice, placeholder
from demo.tabs.photo_input import QUEUED, PhotoInput
from registry.catalog import DLN
from registry.errors import RegistryError

FOUND = 12
"""How many faces are shown."""
NAMES = ("Photo 1", "Photo 2", "Photo 3")
HOW_TO = (
    "Shows the faces of the photos that this page was started with, nearest in expression to the "
    "face of a photo above."
)
ANY = "any"
"""The choice of a label by which no face is left out."""


class SearchSection:
    """Builds the section's components and connects their events.

    Args:
        context: The models.
        search: What is searched.
        photo_inputs: The tab's photos, one of which is searched for.
    """

    def __init__(
        self, context: PageContext, search: BackgroundSearch, photo_inputs: Sequence[PhotoInput]
    ) -> None:
        self._context, self._search = context, search
        heading = f"Search {search.place.name or search.place} by expression"
        with gr.Accordion(heading, open=False, elem_id="search") as accordion:
            status = gr.HTML(elem_id="search-status", apply_default_css=False)
            with gr.Row():
                which = gr.Radio(
                    list(NAMES),
                    value=NAMES[0],
                    label="Search for the expression of",
                    min_width=240,
                )
                others = gr.Checkbox(
                    label="Other people first", min_width=240, visible=search.knows_people
                )
            with gr.Row():
                labels = [_dropdown(name) for name in LABELS]
            button = gr.Button("Search")
            answer = gr.HTML(elem_id="search-answer", apply_default_css=False)
        photos = [part for each in photo_inputs for part in (each.state, each.faces)]
        accordion.expand(self.opened, labels, [status, *labels], **QUEUED | {"queue": False})
        button.click(self.reply, [which, others, *labels, *photos], [answer, status], **QUEUED)

    def opened(self, *chosen: str | None) -> list[Any]:
        """Return as HTML what can be searched, and the labels with what there is to choose now.

        Args:
            chosen: What is chosen of each of LABELS.
        """
        choices = self._search.choices()
        dropdowns = [
            _choose(choices.get(name, ()), value)
            for name, value in zip(LABELS, chosen, strict=True)
        ]
        return [self.status(), *dropdowns]

    def status(self) -> str:
        """Return as HTML what can be searched."""
        return f'<p class="privacy">{escape(HOW_TO)} {escape(self._search.status())}</p>'

    def reply(
        self, which: str | None, others_first: bool | None, *values: Photo | str | int | None
    ) -> tuple[str, str]:
        """Return the faces found as HTML, or why there are none; and what can be searched.

        Args:
            which: The name of the photo to search for.
            others_first: Whether faces of the same person come last.
            values: What is chosen of each of LABELS; photo and face index of each of the three
                photos in turn.
        """
        filters, photos = _filters(values[: len(LABELS)]), values[len(LABELS) :]
        number = NAMES.index(which) if which in NAMES else 0
        name = NAMES[number].lower()
        photo, index = photos[2 * number : 2 * number + 2]
        if not isinstance(photo, Photo):
            return placeholder(f"Add {name} above, and search again."), self.status()
        others = bool(others_first) and self._search.knows_people
        try:
            found = self._search.find(
                photo,
                int(index or 0),  # type: ignore[arg-type]
                count=FOUND,
                others_first=others,
                filters=filters,
            )
        except (RegistryError, IndexFailed, NoIdentity, BadTable) as error:
            return notice(self._search.sentence(error)), self.status()
        return self._answer_html(found, name, filters), self.status()

    def _answer_html(self, found: FoundFaces, name: str, filters: Mapping[str, str]) -> str:
        heading = f"Nearest in expression to {name}"
        names = [self._search.name_of(match.photo) for match in found.matches]
        rows = "".join(
            match_html(match, link=False, name=each)
            for match, each in zip(found.matches, names, strict=True)
        )
        nothing = f"<p>{escape(none_found(filters))}</p>"
        body = f'<ol class="matches">{rows}</ol>' if rows else nothing
        return self._context.answer_html(DLN, heading, body, found.provenance)


def _dropdown(name: str) -> gr.Dropdown:
    """Return the choice of one of LABELS; it is hidden until there is something to choose."""
    return gr.Dropdown(
        [ANY],
        value=ANY,
        label=name.capitalize(),
        allow_custom_value=True,
        interactive=True,
        visible=False,
        min_width=160,
    )


def _choose(known: Sequence[str], chosen: str | None) -> gr.Dropdown:
    """Return the choice among the values that are known, and any."""
    return gr.Dropdown([ANY, *known], value=chosen or ANY, visible=len(known) > 1)


def _filters(chosen: Sequence[object]) -> dict[str, str]:
    """Return the values that faces must have, of what is chosen of each of LABELS."""
    pairs = zip(LABELS, chosen, strict=True)
    return {name: str(value) for name, value in pairs if value not in (None, "", ANY)}
