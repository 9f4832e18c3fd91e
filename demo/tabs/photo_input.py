"""One photo on the page: uploaded or taken, its faces numbered, one of them chosen."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo.drawing import draw_boxes, jpeg_url, shown_scale
from demo.predictors import Photo
from demo.tabs.context import PageContext, notice
from demo.visitor_files import LIFETIME_SECONDS
from registry.catalog import ModelSpec
from registry.photos import PhotoError

AT_A_TIME = 8
"""How many requests are worked on at once: while a version computes for some, photos of others are
decoded, and what is ready meanwhile is the version's next batch."""
QUEUED: dict[str, Any] = {
    "concurrency_id": "models",
    "concurrency_limit": AT_A_TIME,
    "show_progress": "minimal",
    "api_visibility": "private",
}
"""Arguments of an event that runs a model: all of them wait in one queue, AT_A_TIME run at once,
and no API client may call them."""
PICTURE_LIMIT: dict[str, Any] = {"concurrency_id": "pictures", "concurrency_limit": 2}
"""Added for an event that makes pictures of the photo's own size, which may take a gigabyte each:
two of them run at once."""
LATEST: dict[str, Any] = QUEUED | {"trigger_mode": "always_last"}
"""As QUEUED, for what a visitor changes quickly: of several changes only the last one runs. Without
it, a change that comes while the one before is answered would never be answered."""
ASKED_AGAIN: dict[str, Any] = QUEUED | {"show_progress": "hidden"}
"""As QUEUED, for what the page asks by itself."""
AS_SENT: dict[str, Any] = LATEST | {"preprocess": False}
"""As LATEST, for uploads: the handler gets the uploaded file itself. With `preprocess`, Gradio
would decode the picture and encode it again before our checks."""
MAY_BE_TURNED = (
    "It is uncertain which side of this face is up. If it is not upright below, turn the photo."
)
HOW_TO_CHOOSE = "{} faces found, numbered from left to right. Click one to choose it."


class PhotoInput:
    """One photo; `state` holds it as a Photo, and `faces` the index of the chosen face.

    Faces are numbered from left to right; their index in the Photo is another one.

    Args:
        context: Its reader detects faces.
        spec: The model that will answer: its crop of the face is shown.
        name: The photo's name on the page, "Photo 1".
        number: The photo's number in the answer, if it has one: it is the tag of a single face, and
            begins those of several, "1.2".
        height_px: Height of the picture on a wide screen.
    """

    def __init__(
        self,
        context: PageContext,
        spec: ModelSpec,
        name: str,
        *,
        number: int | None = None,
        height_px: int = 280,
    ) -> None:
        self._context, self._spec, self._name, self._number = context, spec, name, number
        self.photo = gr.Image(
            label=name,
            sources=["upload", "webcam", "clipboard"],
            format="jpeg",
            height=height_px,
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
            self.photo.select(self.choose, self.state, [self.faces, *shown], **LATEST),
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
            photo = self._context.reader.read(path)
            photo.face(0)
        except PhotoError as error:
            return [None, None, gr.Radio([], value=None, visible=False), notice(str(error))]
        choices = [(self.face_number(photo, index), index) for index in photo.left_to_right]
        faces = gr.Radio(choices, value=0, visible=len(choices) > 1)
        picture, note = self.show(photo, 0)
        return [picture, photo, faces, note]

    def choose(self, photo: Photo | None, event: gr.SelectData) -> list[Any]:
        """Return the radio buttons, the photo and its note for the face that was clicked on."""
        index = None if photo is None else _face_at(photo, *map(float, event.index))
        if index is None:
            return [gr.skip(), gr.skip(), gr.skip()]
        return [gr.Radio(value=index), *self.show(photo, index)]

    def show(self, photo: Photo | None, face_index: int | None) -> tuple[Any, Any]:
        """Return the photo with its faces boxed, and the chosen face as the model gets it."""
        if photo is None or face_index is None:
            return gr.skip(), gr.skip()
        return self.picture(photo, face_index, [""] * len(photo.faces)), self._note(
            photo, face_index
        )

    def picture(self, photo: Photo, face_index: int, labels: Sequence[str]) -> gr.Image:
        """Return the photo with its faces boxed; each tag is a number and, with room, a label."""
        count = len(photo.faces)
        found = "one face, boxed" if count == 1 else f"{count} faces, boxed and numbered"
        tags = [self._tags(photo, index, label) for index, label in enumerate(labels)]
        return gr.Image(
            draw_boxes(photo, face_index, tags),
            format="jpeg",
            alt_text=f"{self._name} with {found}",
        )

    def face_number(self, photo: Photo, face_index: int) -> str:
        """Return the number of one of several faces: "2", or "1.2" in a photo with a number."""
        number = photo.left_to_right.index(face_index) + 1
        return str(number) if self._number is None else f"{self._number}.{number}"

    def crop_url(self, photo: Photo, face_index: int) -> str:
        """Return the chosen face as a data URL, cropped as for the model."""
        return jpeg_url(photo.crop(face_index, self._context.shown_crop(self._spec)).pixels)

    def _tags(self, photo: Photo, face_index: int, label: str) -> list[str]:
        if len(photo.faces) == 1:
            return [] if self._number is None else [str(self._number)]
        number = self.face_number(photo, face_index)
        return [f"{number} {label}", number] if label else [number]

    def _note(self, photo: Photo, face_index: int) -> str:
        """Return how many faces were found, and the chosen one as the model gets it."""
        several = len(photo.faces) > 1
        face = f"Face {self.face_number(photo, face_index)}" if several else "The face"
        found = f'<p class="found">{HOW_TO_CHOOSE.format(len(photo.faces))}</p>' if several else ""
        turned = notice(MAY_BE_TURNED) if photo.faces[face_index].uncertain_roll else ""
        return (
            f'{found}{turned}<figure class="crop"><img src="{self.crop_url(photo, face_index)}" '
            f'alt="{face} of {self._name.lower()}, level and cut out">'
            f"<figcaption>{face}, as the model sees it</figcaption></figure>"
        )


def _face_at(photo: Photo, x: float, y: float) -> int | None:
    """Return the smallest face whose box holds a point of the picture on the page."""
    x, y = (value / shown_scale(photo) for value in (x, y))
    holding = [
        index
        for index, face in enumerate(photo.faces)
        if face.box[0] <= x <= face.box[2] and face.box[1] <= y <= face.box[3]
    ]
    return max(holding, default=None)  # the largest face is 0
