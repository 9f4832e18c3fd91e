"""One photo on the page: uploaded or taken, its faces numbered, one of them chosen."""

from typing import Any

import gradio as gr

from demo.drawing import draw_boxes, jpeg_url
from demo.predictors import Photo, read_photo_with_faces
from demo.tabs.context import PageContext, notice
from demo.visitor_files import LIFETIME_SECONDS
from registry.catalog import ModelSpec
from registry.photos import PhotoError

QUEUED: dict[str, Any] = {
    "concurrency_id": "models",
    "concurrency_limit": 2,
    "show_progress": "minimal",
    "api_visibility": "private",
}
"""Arguments of an event that runs a model: all of them wait in one queue, two run at a time, and
no API client may call them."""
LATEST: dict[str, Any] = QUEUED | {"trigger_mode": "always_last"}
"""As QUEUED, for what a visitor changes quickly: of several changes only the last one runs."""
AS_SENT: dict[str, Any] = LATEST | {"preprocess": False}
"""As LATEST, for uploads: the handler gets the uploaded file itself. With `preprocess`, Gradio
would decode the picture and encode it again before our checks."""


class PhotoInput:
    """One photo; `state` holds it as a Photo, and `faces` the index of the chosen face.

    Args:
        context: Its cropper detects faces.
        spec: The model that will answer: its crop of the face is shown.
        name: The photo's name on the page, "Photo 1".
    """

    def __init__(self, context: PageContext, spec: ModelSpec, name: str) -> None:
        self._context, self._spec, self._name = context, spec, name
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
        self.state = gr.State(None, time_to_live=LIFETIME_SECONDS)
        self.faces = gr.Radio([], label="Which face?", visible=False, elem_classes="faces")
        self.note = gr.HTML(elem_classes="note", apply_default_css=False)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """The components that `load` fills."""
        return [self.photo, self.state, self.faces, self.note]

    def change_events(self) -> list[Any]:
        """Handle uploads, removals and choices of a face; return the events to answer after."""
        chosen, shown = [self.state, self.faces], [self.photo, self.note]
        return [
            self.photo.upload(self.load_upload, self.photo, self.outputs, **AS_SENT),
            self.photo.clear(self.clear, outputs=self.outputs, **LATEST),
            self.faces.input(self.show, chosen, shown, **LATEST),
        ]

    def load_upload(self, file: dict[str, Any]) -> list[Any]:
        """Return the outputs for a photo that the browser uploaded."""
        return self.load(file["path"])

    def clear(self) -> list[Any]:
        """Return the outputs without a photo; the browser has removed the picture already."""
        return [gr.skip(), None, gr.Radio([], value=None, visible=False), ""]

    def load(self, path: str) -> list[Any]:
        """Return the outputs for a photo; for one that can't be used, a notice and no photo."""
        try:
            photo = read_photo_with_faces(path, self._context.cropper)
            photo.face(0)
        except PhotoError as error:
            return [None, None, gr.Radio([], value=None, visible=False), notice(str(error))]
        choices = [(str(index + 1), index) for index in range(len(photo.faces))]
        faces = gr.Radio(choices, value=0, visible=len(choices) > 1)
        picture, note = self.show(photo, 0)
        return [picture, photo, faces, note]

    def show(self, photo: Photo | None, face_index: int | None) -> tuple[Any, Any]:
        """Return the photo with its faces boxed, and the chosen face as the model gets it."""
        if photo is None or face_index is None:
            return gr.skip(), gr.skip()
        count = len(photo.faces)
        found = "one face, boxed" if count == 1 else f"{count} faces, boxed and numbered"
        picture = gr.Image(
            draw_boxes(photo, face_index), format="jpeg", alt_text=f"{self._name} with {found}"
        )
        return picture, self._crop_html(photo, face_index)

    def crop_url(self, photo: Photo, face_index: int) -> str:
        """Return the chosen face as a data URL, cropped as for the model."""
        return jpeg_url(photo.crop(face_index, self._context.shown_crop(self._spec)).pixels)

    def _crop_html(self, photo: Photo, face_index: int) -> str:
        alt = f"Face {face_index + 1} of {self._name.lower()}, level and cut out"
        return (
            f'<figure class="crop"><img src="{self.crop_url(photo, face_index)}" alt="{alt}">'
            f"<figcaption>Face {face_index + 1}, as the model sees it</figcaption></figure>"
        )
