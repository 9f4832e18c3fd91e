"""The same answers for programs: named, stateless endpoints that take files."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from demo import model_reports
from demo.models import PAGE_MODELS
from demo.predictors import EmotionRecognizer, Photo, TripletComparer
from demo.tabs.context import PageContext
from demo.tabs.endpoint_docs import (
    COMPARED,
    EMBEDDED,
    EMOTION,
    FACE,
    PHOTO,
    REPORTED,
    TRANSFERRED,
    answer_output,
    number_input,
    photo_input,
    picture_output,
)
from demo.tabs.photo_input import PICTURE_LIMIT, QUEUED
from demo.tabs.uploads import cache_file
from demo.transfer import BadStrength, ExpressionTransfer
from registry.errors import RegistryError
from registry.faces import NoFace
from registry.photos import PhotoError

Answer = dict[str, Any]
COMPARISON = (
    "pair and odd are photos; tie and close say that another pair is as close, or nearly; "
    "distances are those of 1 and 2, 1 and 3, 2 and 3, from 0 (the same) to 2 (the opposite)."
)
EMOTIONS = (
    "An answer for each face, the largest first; probabilities hold all eight emotions, taken for "
    "equally likely; in_the_wild the same for emotions as frequent as in the training photos."
)
VECTORS = "An answer for each face, the largest first; expression has 16 numbers."
DRIVER = f"The person whose expression is taken on; a neutral one when it is left out. {PHOTO}"
STRENGTH = "From -0.5 to 1.5: 0 leaves the face, 1 goes all the way, below 0 away from it."
TRANSFER = (
    "before and after are distances to the expression, likeness and driver_likeness those to the "
    "two persons, 1 at most; driver_likeness is null where the face becomes neutral."
)
IN_PRODUCTION = (
    "An object for each model: version is the one in production, put there by who at since; "
    "answering is the one that is loaded; problem says why they differ."
)
PICTURE = "The picture as a PNG of the source's size, marked as generated."


class Endpoints:
    """`compare`, `emotion`, `embed`, `transfer`, `models`; faces count from 1, largest first."""

    def __init__(self, context: PageContext) -> None:
        self._server, self._shadow = context.server, context.shadow
        self._reader = context.reader
        self._comparer = TripletComparer(context.server)
        self._recognizer = EmotionRecognizer(context.server)
        self._transfer = ExpressionTransfer(context.server)
        photos = [photo_input(f"Photo {number}") for number in (1, 2, 3)]
        faces = [number_input(f"Face of photo {number}", 1, FACE) for number in (1, 2, 3)]
        face = number_input("Face", None, f"{FACE} All faces when it is left out.")
        self._add(self.compare, [*photos, *faces], [answer_output(COMPARISON, COMPARED)])
        self._add(self.emotion, [photos[0], face], [answer_output(EMOTIONS, [EMOTION])])
        self._add(self.embed, [photos[0], face], [answer_output(VECTORS, [EMBEDDED])])
        self._add_transfer(faces[:2])
        self._add(self.models, [], [answer_output(IN_PRODUCTION, [REPORTED])])

    def _add_transfer(self, faces: list[Any]) -> None:
        source = photo_input("Source", f"The person whose face it stays. {PHOTO}")
        driver = photo_input("Driver", DRIVER)
        strength = number_input("Strength", 1.0, STRENGTH, whole=False)
        self._picture = picture_output(PICTURE)
        answer = answer_output(TRANSFER, TRANSFERRED)
        inputs = [source, driver, strength, *faces]
        self._add(self.transfer, inputs, [answer, self._picture], **PICTURE_LIMIT)

    def compare(
        self,
        photo_1: str | None,
        photo_2: str | None,
        photo_3: str | None,
        face_1: int | None = 1,
        face_2: int | None = 1,
        face_3: int | None = 1,
    ) -> Answer:
        """Tells which two of three photos share an expression."""
        photos = [self._read(path) for path in (photo_1, photo_2, photo_3)]
        faces = [_face_index(face) for face in (face_1, face_2, face_3)]
        answer = self._comparer.compare(photos, faces)
        self._shadow.compare(photos, faces, answer)
        return answer.to_dict()

    def emotion(self, photo: str | None, face: int | None = None) -> list[Answer]:
        """Names the emotion of every face of a photo, or of one."""
        read = self._read(photo)
        answers = self._recognizer.recognise(read, _face_indices(face))
        self._shadow.recognise(read, answers)
        return [answer.to_dict() for answer in answers]

    def embed(self, photo: str | None, face: int | None = None) -> list[Answer]:
        """Gives every face of a photo, or one, as vectors of length 1."""
        embeddings = self._comparer.embed(self._read(photo), _face_indices(face))
        return [embedding.to_dict() for embedding in embeddings]

    def transfer(
        self,
        source: str | None,
        driver: str | None = None,
        strength: int | float | None = 1.0,
        source_face: int | None = 1,
        driver_face: int | None = 1,
    ) -> tuple[Answer, str]:
        """Gives a face another's expression, or a neutral one; use only photos of who agrees."""
        photos = [self._read(source), *([] if driver is None else [self._read(driver)])]
        faces = (_face_index(source_face), _face_index(driver_face))
        if strength is None:
            raise BadStrength("A strength is missing: choose one, or leave it out for 1.")
        other = photos[1] if len(photos) > 1 else None
        answer = self._transfer.transfer_and_look_lower(photos[0], other, faces, float(strength))
        boxes = [list(photo.face(i).box) for photo, i in zip(photos, faces, strict=False)]
        file = cache_file(answer.encode(), answer.file_name, self._picture)
        return answer.to_dict() | {"boxes": boxes}, file

    def models(self) -> list[Answer]:
        """Names the version of each model in production, and the one that answers."""
        return [model_reports.summary(self._server, name) for name in PAGE_MODELS]

    def _read(self, path: str | None) -> Photo:
        if path is None:
            raise PhotoError("A photo is missing; send a file.")
        return self._reader.read(path)

    def _add(
        self,
        function: Callable[..., Any],
        inputs: list[Any],
        outputs: list[Any],
        **options: Any,
    ) -> None:
        gr.Button(visible=False).click(
            _with_gradio_errors(function),
            inputs,
            outputs,
            api_name=function.__name__,
            api_description=f"{function.__doc__} {outputs[0].api_info()['description']}",
            **QUEUED | {"api_visibility": "public"} | options,
        )


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
