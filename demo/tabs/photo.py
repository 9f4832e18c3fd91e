"""A place for a photo: taken through the gate, its faces numbered, one of them chosen."""

from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from demo.drawing import boxed, embedded
from demo.predictors import Photo, look
from demo.tabs.house import PageContext, notice
from registry.catalog import ModelSpec
from registry.photos import PhotoError

KEPT_SECONDS = 3600
ADDRESS = ("http://", "https://")
MARK = {"_type": "gradio.FileData"}
"""What a file carries that Gradio looks at: of one without it, it doesn't ask where it lies."""
QUEUED: dict[str, Any] = {
    "concurrency_id": "models",
    "concurrency_limit": 2,
    "show_progress": "minimal",
    "api_visibility": "private",
}
"""How the page's events run: all that ask a model wait in one queue, and no program calls them."""
LATEST: dict[str, Any] = QUEUED | {"trigger_mode": "always_last"}
AS_SENT: dict[str, Any] = LATEST | {"preprocess": False}
"""Gradio would decode a picture and write it anew before we saw it: we take the file itself."""


class Gate(gr.Blocks):  # type: ignore[misc]
    """A page that takes only files sent to it: none named by an address, none of this machine."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *given: Any, **named: Any
    ) -> list[Any]:
        """Refuse all else before anything is done about it."""
        if not all(map(_sent, inputs)):
            raise gr.Error("Send the picture itself, not its address.", print_exception=False)
        ready: list[Any] = await super().preprocess_data(block_fn, inputs, *given, **named)
        return ready


def _sent(value: Any) -> bool:
    """Tell whether a value is plain, or a file that Gradio itself will look for among those sent.

    Lists and what lies in dicts would be fetched too, and no event takes any.
    """
    if not isinstance(value, dict):
        return not isinstance(value, list)
    return value.get("meta") == MARK and not str(value.get("path")).startswith(ADDRESS)


def held(data: bytes, name: str, by: gr.blocks.Block) -> str:
    """Return where a file lies that `by` gives out: with the uploads, and deleted like them."""
    return str(save_bytes_to_cache(data, name, by.GRADIO_CACHE))


class PhotoPlace:
    """One photo on the page. `state` and `faces` are what a question needs of it.

    Args:
        house: Who finds faces.
        card: The model that will be asked: its framing is shown.
        name: What the photo is called, "Photo 1".
    """

    def __init__(self, house: PageContext, card: ModelSpec, name: str) -> None:
        self._house, self._card, self._name = house, card, name
        self.photo = gr.Image(
            label=name,
            sources=["upload", "webcam", "clipboard"],
            format="jpeg",
            height=280,
            buttons=[],
            placeholder="Drop a photo here, or click",
            alt_text=f"{name}, as you gave it",
            elem_classes="photo",
        )
        self.state = gr.State(None, time_to_live=KEPT_SECONDS)
        self.faces = gr.Radio([], label="Which face?", visible=False, elem_classes="faces")
        self.note = gr.HTML(elem_classes="note", apply_default_css=False)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `take` fills."""
        return [self.photo, self.state, self.faces, self.note]

    def follow(self) -> list[Any]:
        """Follow what the visitor does here; return the events after which to answer anew."""
        asked, shown = [self.state, self.faces], [self.photo, self.note]
        return [
            self.photo.upload(self.take_sent, self.photo, self.outputs, **AS_SENT),
            self.photo.clear(self.empty, outputs=self.outputs, **LATEST),
            self.faces.input(self.show, asked, shown, **LATEST),
        ]

    def take_sent(self, sent: dict[str, Any]) -> list[Any]:
        """Look at the photo that the browser sent."""
        return self.take(sent["path"])

    def empty(self) -> list[Any]:
        """Forget the photo that the browser has just put away."""
        return [gr.skip(), None, gr.Radio([], value=None, visible=False), ""]

    def take(self, path: str) -> list[Any]:
        """Look at a photo; one that can't be used leaves a sentence and an empty place."""
        try:
            seen = look(path, self._house.cropper)
            seen.face(0)
        except PhotoError as error:
            return [None, None, gr.Radio([], value=None, visible=False), notice(str(error))]
        choices = [(str(which + 1), which) for which in range(len(seen.faces))]
        faces = gr.Radio(choices, value=0, visible=len(choices) > 1)
        photo, note = self.show(seen, 0)
        return [photo, seen, faces, note]

    def show(self, seen: Photo | None, which: int | None) -> tuple[Any, Any]:
        """Return the photo with its faces boxed, and the chosen one as the model sees it."""
        if seen is None or which is None:
            return gr.skip(), gr.skip()
        count = len(seen.faces)
        found = "one face, boxed" if count == 1 else f"{count} faces, boxed and numbered"
        shown = gr.Image(boxed(seen, which), format="jpeg", alt_text=f"{self._name} with {found}")
        return shown, self._crop(seen, which)

    def crop(self, seen: Photo, which: int) -> str:
        """Return the address of the chosen face, framed as the model sees it."""
        return embedded(seen.crop(which, self._house.framing(self._card)).pixels)

    def _crop(self, seen: Photo, which: int) -> str:
        told = f"Face {which + 1} of {self._name.lower()}, level and cut out"
        return (
            f'<figure class="crop"><img src="{self.crop(seen, which)}" alt="{told}">'
            f"<figcaption>Face {which + 1}, as the model sees it</figcaption></figure>"
        )
