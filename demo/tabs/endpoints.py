"""The same answers for programs: named, stateless endpoints that take files."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from demo.marking import encode_png
from demo.predictors import EmotionRecognizer, Photo, TripletComparer, read_photo_with_faces
from demo.tabs.context import PageContext
from demo.tabs.photo_input import QUEUED
from demo.tabs.transfer import FILE_NAME
from demo.tabs.uploads import cache_file
from demo.transfer import BadStrength, ExpressionTransfer
from registry.errors import RegistryError
from registry.faces import NoFace
from registry.photos import PhotoError

Answer = dict[str, Any]


class Endpoints:
    """`compare`, `emotion`, `embed` and `transfer`; faces count from 1, the largest first."""

    def __init__(self, context: PageContext) -> None:
        self._cropper = context.cropper
        self._comparer = TripletComparer(context.server)
        self._recognizer = EmotionRecognizer(context.server)
        self._transfer = ExpressionTransfer(context.server)
        files = [_file_input(f"Photo {n}") for n in (1, 2, 3)]
        faces = [gr.Number(1, precision=0, label=f"Face {n}", visible=False) for n in (1, 2, 3)]
        face = gr.Number(None, precision=0, label="Face; all when left out", visible=False)
        strength = gr.Number(1.0, label="Strength, -0.5 to 1.5", visible=False)
        answer, self._picture = gr.JSON(visible=False), gr.File(visible=False)
        self._add(self.compare, [*files, *faces], answer)
        self._add(self.emotion, [files[0], face], answer)
        self._add(self.embed, [files[0], face], answer)
        self._add(self.transfer, [*files[:2], strength, *faces[:2]], [answer, self._picture])

    def compare(
        self,
        photo_1: str | None,
        photo_2: str | None,
        photo_3: str | None,
        face_1: int | None = 1,
        face_2: int | None = 1,
        face_3: int | None = 1,
    ) -> Answer:
        """Which two of three photos share an expression."""
        photos = [self._read(path) for path in (photo_1, photo_2, photo_3)]
        faces = [_face_index(face) for face in (face_1, face_2, face_3)]
        return self._comparer.compare(photos, faces).to_dict()

    def emotion(self, photo: str | None, face: int | None = None) -> list[Answer]:
        """The emotion of every face of a photo, or of one."""
        answers = self._recognizer.recognise(self._read(photo), _face_indices(face))
        return [answer.to_dict() for answer in answers]

    def embed(self, photo: str | None, face: int | None = None) -> list[Answer]:
        """Every face of a photo, or one, as vectors of length 1."""
        embeddings = self._comparer.embed(self._read(photo), _face_indices(face))
        return [embedding.to_dict() for embedding in embeddings]

    def transfer(
        self,
        source: str | None,
        driver: str | None,
        strength: int | float | None = 1.0,
        source_face: int | None = 1,
        driver_face: int | None = 1,
    ) -> tuple[Answer, str]:
        """One person's face with another's expression: use only pictures of people who agree."""
        photos = self._read(source), self._read(driver)
        faces = (_face_index(source_face), _face_index(driver_face))
        if strength is None:
            raise BadStrength("A strength is missing: choose one, or leave it out for 1.")
        answer = self._transfer.transfer(*photos, faces, float(strength))
        boxes = [list(photo.face(i).box) for photo, i in zip(photos, faces, strict=True)]
        file = cache_file(encode_png(answer.picture), FILE_NAME, self._picture)
        return answer.to_dict() | {"boxes": boxes}, file

    def _read(self, path: str | None) -> Photo:
        if path is None:
            raise PhotoError("A photo is missing; send a file.")
        return read_photo_with_faces(path, self._cropper)

    def _add(self, function: Callable[..., Any], inputs: list[Any], output: Any) -> None:
        gr.Button(visible=False).click(
            _with_gradio_errors(function),
            inputs,
            output,
            api_name=function.__name__,
            api_description=function.__doc__,
            **QUEUED | {"api_visibility": "public"},
        )


def _file_input(label: str) -> gr.File:
    """Return an input for a file; Gradio's own example of one is a URL, which the page refuses."""
    file = gr.File(label=label, visible=False)
    file.example_payload = lambda: {
        "path": "photo.jpg",
        "url": "photo.jpg",
        "meta": {"_type": "gradio.FileData"},
    }
    return file


def _with_gradio_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its refusals as gr.Error: one sentence for the caller."""

    @wraps(function)
    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except (PhotoError, BadStrength, RegistryError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    return call


def _face_indices(face: int | None) -> list[int] | None:
    return None if face is None else [_face_index(face)]


def _face_index(face: int | None) -> int:
    """Return a face counted from 1 as an index counted from 0."""
    if face is None:
        raise NoFace("A face is missing: 1 is the largest, 2 the next.")
    return face - 1
