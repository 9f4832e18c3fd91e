"""The terminal's answers, computed in this process; `demo.page_answers` asks the open page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from demo.photo_files import PhotoFile
from registry.console import native_silence
from registry.photos import PhotoError

if TYPE_CHECKING:
    from demo.predictors import ModelProvider

Answer = dict[str, Any]
"""An answer as JSON can hold it: what `to_dict` of the classes in `demo.answers` returns."""


class BadPhotos(ValueError):
    """Photos that can't be used, each with the reason."""

    def __init__(self, refused: Sequence[tuple[PhotoFile, PhotoError]]) -> None:
        super().__init__("; ".join(str(error) for _, error in refused))
        self.refused = refused


@runtime_checkable
class Answers(Protocol):
    """Answers the terminal's questions. Faces count from 1; None stands for every face.

    All methods raise BadPhotos where photos can't be used, before a model is loaded, and
    RegistryError where no version can answer.
    """

    def compare(self, photos: Sequence[PhotoFile], face: int) -> Answer:
        """Return which two of three photos share an expression."""

    def emotion(self, photo: PhotoFile, face: int | None) -> list[Answer]:
        """Return the emotion of each face of a photo."""

    def embed(self, photo: PhotoFile, face: int | None) -> list[Answer]:
        """Return the vectors of each face of a photo."""

    def transfer(
        self,
        source: PhotoFile,
        driver: PhotoFile | None,
        faces: tuple[int, int],
        strength: float,
    ) -> tuple[Answer, bytes]:
        """Return the metrics of a transfer, and its picture as a PNG."""


class LocalAnswers:
    """Answers with the versions in production, loaded at the first question.

    Args:
        server: Gives other versions.
    """

    def __init__(self, server: "ModelProvider | None" = None) -> None:
        from demo.models import ModelServer
        from demo.predictors import EmotionRecognizer, TripletComparer
        from demo.transfer import ExpressionTransfer
        from registry.faces import FaceCropper

        server = server or ModelServer(poll_seconds=None)
        self._cropper = FaceCropper()
        self._comparer = TripletComparer(server)
        self._recognizer = EmotionRecognizer(server)
        self._transfer = ExpressionTransfer(server)

    def compare(self, photos: Sequence[PhotoFile], face: int) -> Answer:
        """Return which two of three photos share an expression."""
        read = self._read([(photo, face) for photo in photos])
        return self._comparer.compare(read, [face - 1] * len(read)).to_dict()

    def emotion(self, photo: PhotoFile, face: int | None) -> list[Answer]:
        """Return the emotion of each face of a photo."""
        (read,) = self._read([(photo, face or 1)])
        return [answer.to_dict() for answer in self._recognizer.recognise(read, _indices(face))]

    def embed(self, photo: PhotoFile, face: int | None) -> list[Answer]:
        """Return the vectors of each face of a photo."""
        (read,) = self._read([(photo, face or 1)])
        return [vectors.to_dict() for vectors in self._comparer.embed(read, _indices(face))]

    def transfer(
        self,
        source: PhotoFile,
        driver: PhotoFile | None,
        faces: tuple[int, int],
        strength: float,
    ) -> tuple[Answer, bytes]:
        """Return the metrics of a transfer, and its picture as a PNG."""
        named = [(source, faces[0]), *([] if driver is None else [(driver, faces[1])])]
        person, *other = self._read(named)
        indices = (faces[0] - 1, faces[1] - 1)
        driving = other[0] if other else None
        answer = self._transfer.transfer_and_look_lower(person, driving, indices, strength)
        return answer.to_dict(), answer.encode()

    def _read(self, named: Sequence[tuple[PhotoFile, int]]) -> list[Any]:
        """Return photos with their faces.

        Raises:
            BadPhotos: Some can't be read, or lack the face with this number.
        """
        from demo.predictors import read_photo_with_faces

        read, refused = [], []
        for file, face in named:
            try:
                with native_silence():
                    photo = read_photo_with_faces(file.read(), self._cropper)
                photo.face(face - 1)
                read.append(photo)
            except PhotoError as error:
                refused.append((file, error))
        if refused:
            raise BadPhotos(refused)
        return read


def _indices(face: int | None) -> list[int] | None:
    return None if face is None else [face - 1]
