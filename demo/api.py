"""The answers in Python, for notebooks and scripts: `demo.load()` returns ExpressionModels."""

from demo.answers import Embedding, EmotionAnswer, TripletAnswer
from demo.models import ModelServer
from demo.predictors import EmotionRecognizer, Photo, TripletComparer, read_photo_with_faces
from demo.transfer import ExpressionTransfer, TransferAnswer
from registry.faces import FaceCropper
from registry.photos import PhotoSource


class ExpressionModels:
    """The models in production, without a page.

    A photo is a path, the bytes of a file, an open file, an RGB array (h w 3, uint8) or a PIL
    image. Faces count from 1, the largest first. A model is loaded at its first call and then
    stays the same, whichever version is promoted meanwhile.

    All methods raise PhotoError for a photo that can't be used (NoFace where it lacks a face) and
    RegistryError where no version can answer. The message is one sentence that says what to do.

    Args:
        device: cuda, mps or cpu; None takes the fastest there is.
    """

    def __init__(self, device: str | None = None) -> None:
        server = ModelServer(poll_seconds=None, device=device)
        self._cropper = FaceCropper()
        self._comparer = TripletComparer(server)
        self._recognizer = EmotionRecognizer(server)
        self._transfer = ExpressionTransfer(server)

    def compare(
        self,
        first: PhotoSource,
        second: PhotoSource,
        third: PhotoSource,
        faces: tuple[int, int, int] = (1, 1, 1),
    ) -> TripletAnswer:
        """Find which two of three photos share an expression.

        Args:
            first: A photo.
            second: A photo.
            third: A photo.
            faces: The face of each.

        Example:
            >>> answer = demo.load().compare("one.jpg", "two.jpg", "three.jpg")
            >>> answer.sentence
            '1 and 3 share an expression; 2 is the odd one.'
        """
        photos = [self._read(photo) for photo in (first, second, third)]
        return self._comparer.compare(photos, [face - 1 for face in faces])

    def recognise(self, photo: PhotoSource, face: int | None = None) -> list[EmotionAnswer]:
        """Return the emotion of each face of a photo.

        Args:
            photo: A photo.
            face: Answer for this face alone.

        Example:
            >>> [answer.label for answer in demo.load().recognise("group.jpg")]
            ['happy', 'neutral']
        """
        return self._recognizer.recognise(self._read(photo), _face_indices(face))

    def embed(self, photo: PhotoSource, face: int | None = None) -> list[Embedding]:
        """Return the vectors of each face of a photo, all of length 1.

        Args:
            photo: A photo.
            face: Answer for this face alone.

        Example:
            >>> demo.load().embed("group.jpg")[0].expression.shape
            (16,)
        """
        return self._comparer.embed(self._read(photo), _face_indices(face))

    def transfer(
        self,
        source: PhotoSource,
        driver: PhotoSource | None = None,
        strength: int | float = 1.0,
        *,
        source_face: int = 1,
        driver_face: int = 1,
    ) -> TransferAnswer:
        """Return a person's photo with another expression; use only photos of people who agree.

        Args:
            source: The photo of the person whose face it stays.
            driver: The photo whose expression the face takes on; None makes the face neutral.
            strength: -0.5 to 1.5; 0 leaves the face, 1 goes all the way.
            source_face: The face of the source.
            driver_face: The face of the driver.

        Raises:
            BadStrength: The strength is out of range.
            ProfileFace: A face is seen from the side.

        Example:
            >>> answer = demo.load().transfer("person.jpg", "other.jpg", strength=0.8)
            >>> answer.save("result.png")
        """
        photos = self._read(source), None if driver is None else self._read(driver)
        faces = (source_face - 1, driver_face - 1)
        return self._transfer.transfer_and_look_lower(*photos, faces, float(strength))

    def _read(self, photo: PhotoSource) -> Photo:
        return read_photo_with_faces(photo, self._cropper)


def _face_indices(face: int | None) -> list[int] | None:
    return None if face is None else [face - 1]
