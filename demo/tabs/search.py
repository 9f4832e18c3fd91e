"""A part of the Triplet tab: the faces of the operator's folder nearest in expression to a photo's.

Only where the page was started with a folder to search.
"""

from collections.abc import Sequence
from html import escape

import gradio as gr

from demo.predictors import Photo
from demo.search.folder_search import FolderSearch, FoundFaces
from demo.search.matches import NoIdentity
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
    "Shows the faces of the folder that this page was started with, nearest in expression to the "
    "face of a photo above."
)


class SearchSection:
    """Builds the section's components and connects their events.

    Args:
        context: The models.
        search: The folder to search.
        photo_inputs: The tab's photos, one of which is searched for.
    """

    def __init__(
        self, context: PageContext, search: FolderSearch, photo_inputs: Sequence[PhotoInput]
    ) -> None:
        self._context, self._search = context, search
        heading = f"Search {search.folder.name or search.folder} by expression"
        with gr.Accordion(heading, open=False, elem_id="search") as accordion:
            status = gr.HTML(elem_id="search-status", apply_default_css=False)
            with gr.Row():
                which = gr.Radio(
                    list(NAMES),
                    value=NAMES[0],
                    label="Search for the expression of",
                    min_width=240,
                )
                others = gr.Checkbox(label="Other people first", min_width=240)
            button = gr.Button("Search")
            answer = gr.HTML(elem_id="search-answer", apply_default_css=False)
        photos = [part for each in photo_inputs for part in (each.state, each.faces)]
        accordion.expand(self.status, outputs=status, **QUEUED | {"queue": False})
        button.click(self.reply, [which, others, *photos], [answer, status], **QUEUED)

    def status(self) -> str:
        """Return as HTML what can be searched."""
        return f'<p class="privacy">{escape(HOW_TO)} {escape(self._search.status())}</p>'

    def reply(
        self, which: str | None, others_first: bool | None, *values: Photo | int | None
    ) -> tuple[str, str]:
        """Return the faces found as HTML, or why there are none; and what can be searched.

        Args:
            which: The name of the photo to search for.
            others_first: Whether faces of the same person come last.
            values: Photo and face index of each of the three photos in turn.
        """
        number = NAMES.index(which) if which in NAMES else 0
        name = NAMES[number].lower()
        photo, index = values[2 * number : 2 * number + 2]
        if not isinstance(photo, Photo):
            return placeholder(f"Add {name} above, and search again."), self.status()
        face, others = int(index or 0), bool(others_first)  # type: ignore[arg-type]
        try:
            found = self._search.find(photo, face, count=FOUND, others_first=others)
        except (RegistryError, IndexFailed, NoIdentity) as error:
            return notice(str(error)), self.status()
        return self._answer_html(found, name), self.status()

    def _answer_html(self, found: FoundFaces, name: str) -> str:
        heading = f"Nearest in expression to {name}"
        names = [self._search.name_of(match.photo) for match in found.matches]
        rows = "".join(
            match_html(match, link=False, name=each)
            for match, each in zip(found.matches, names, strict=True)
        )
        body = f'<ol class="matches">{rows}</ol>' if rows else "<p>No other face is there.</p>"
        return self._context.answer_html(DLN, heading, body, found.provenance)
