"""The same answers for programs: named, stateless endpoints that take files."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from demo.marking import png
from demo.predictors import EmotionRecognizer, Photo, TripletComparer, look
from demo.tabs.house import PageContext
from demo.tabs.photo import QUEUED, held
from demo.tabs.transfer import FILE
from demo.transfer import BadStrength, ExpressionTransfer
from registry.errors import RegistryError
from registry.faces import NoFace
from registry.photos import PhotoError

Answer = dict[str, Any]


class Endpoints:
    """`compare`, `emotion`, `embed` and `transfer`; faces count from 1, the largest first."""

    def __init__(self, house: PageContext) -> None:
        self._cropper = house.cropper
        self._comparer = TripletComparer(house.served)
        self._recognizer = EmotionRecognizer(house.served)
        self._transfer = ExpressionTransfer(house.served)
        files = [_file(f"Photo {n}") for n in (1, 2, 3)]
        faces = [gr.Number(1, precision=0, label=f"Face {n}", visible=False) for n in (1, 2, 3)]
        face = gr.Number(None, precision=0, label="Face; all when left out", visible=False)
        strength = gr.Number(1.0, label="Strength, -0.5 to 1.5", visible=False)
        told, self._picture = gr.JSON(visible=False), gr.File(visible=False)
        self._offer(self.compare, [*files, *faces], told)
        self._offer(self.emotion, [files[0], face], told)
        self._offer(self.embed, [files[0], face], told)
        self._offer(self.transfer, [*files[:2], strength, *faces[:2]], [told, self._picture])

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
        photos = [self._look(path) for path in (photo_1, photo_2, photo_3)]
        which = [_place(face) for face in (face_1, face_2, face_3)]
        answer = self._comparer.compare(photos, which)
        boxes = [photo.face(w).box for photo, w in zip(photos, which, strict=True)]
        return _told(answer) | {"boxes": boxes}

    def emotion(self, photo: str | None, face: int | None = None) -> list[Answer]:
        """The emotion of every face of a photo, or of one."""
        answers = self._recognizer.recognise(self._look(photo), _which(face))
        return [_named(answer) | _told(answer) for answer in answers]

    def embed(self, photo: str | None, face: int | None = None) -> list[Answer]:
        """Every face of a photo, or one, as vectors of length 1."""
        faces = self._comparer.embed(self._look(photo), _which(face))
        return [
            _named(face)
            | {"expression": face.expression.tolist()}
            | {"identity": None if face.identity is None else face.identity.tolist()}
            | vars(face.stamp)
            for face in faces
        ]

    def transfer(
        self,
        source: str | None,
        driver: str | None,
        strength: int | float | None = 1.0,
        source_face: int | None = 1,
        driver_face: int | None = 1,
    ) -> tuple[Answer, str]:
        """One person's face with another's expression: use only pictures of people who agree."""
        photos = self._look(source), self._look(driver)
        which = (_place(source_face), _place(driver_face))
        if strength is None:
            raise BadStrength("A strength is missing: choose one, or leave it out for 1.")
        answer = self._transfer.transfer(*photos, which, float(strength))
        boxes = [photo.face(w).box for photo, w in zip(photos, which, strict=True)]
        return answer.told() | {"boxes": boxes}, held(png(answer.picture), FILE, self._picture)

    def _look(self, path: str | None) -> Photo:
        if path is None:
            raise PhotoError("A photo is missing; send a file.")
        return look(path, self._cropper)

    def _offer(self, answer: Callable[..., Any], inputs: list[Any], output: Any) -> None:
        gr.Button(visible=False).click(
            _in_words(answer),
            inputs,
            output,
            api_name=answer.__name__,
            api_description=answer.__doc__,
            **QUEUED | {"api_visibility": "public"},
        )


def _file(label: str) -> gr.File:
    """Return an input for a file; Gradio's own example of one is an address, which we refuse."""
    taken = gr.File(label=label, visible=False)
    taken.example_payload = lambda: {
        "path": "photo.jpg",
        "url": "photo.jpg",
        "meta": {"_type": "gradio.FileData"},
    }
    return taken


def _in_words(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function, its refusals one sentence for the caller."""

    @wraps(answer)
    def answered(*given: Any) -> Any:
        try:
            return answer(*given)
        except (PhotoError, BadStrength, RegistryError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    return answered


def _which(face: int | None) -> list[int] | None:
    return None if face is None else [_place(face)]


def _place(face: int | None) -> int:
    """Return a face counted from 0."""
    if face is None:
        raise NoFace("A face is missing: 1 is the largest, 2 the next.")
    return face - 1


def _named(answer: Any) -> Answer:
    return {"face": answer.which + 1, "box": list(answer.face.box)}


def _told(answer: Any) -> Answer:
    said = {k: v for k, v in vars(answer).items() if k not in ("which", "face", "stamp")}
    return {**said, **vars(answer.stamp)}
