"""The emotions of all photos in a zip, one after the other, as a table."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.answers import EmotionAnswer
from demo.embedding_table import table_name
from demo.face_table import safe_cell
from demo.photo_files import PhotoFile, expand
from demo.predictors import EmotionRecognizer, read_photo_with_faces
from demo.visitor_files import UPLOAD_BYTES
from registry.faces import FaceCropper
from registry.photos import PhotoError

if TYPE_CHECKING:
    import pandas as pd

MOST_PHOTOS = 1000


@dataclass(frozen=True, kw_only=True)
class AnsweredPhoto:
    """A photo of a zip: its name there, its faces' emotions, or why there are none."""

    name: str
    answers: tuple[EmotionAnswer, ...]
    problem: str | None


class PhotoBatch:
    """Names the emotions of all faces of all photos in a zip.

    Args:
        recognizer: Answers about a photo.
        cropper: Detects the faces.
    """

    def __init__(self, recognizer: EmotionRecognizer, cropper: FaceCropper) -> None:
        self._recognizer, self._cropper = recognizer, cropper

    def photos(self, path: Path) -> list[PhotoFile]:
        """Return the photos in a zip.

        Raises:
            PhotoError: It is no zip, holds no photo, or more than MOST_PHOTOS.
        """
        if path.suffix.lower() != ".zip":
            raise PhotoError(f"{path.name} is no zip; put the photos into one.")
        found = expand(path)
        if len(found) > MOST_PHOTOS:
            raise PhotoError(
                f"{path.name} holds {len(found):,} photos, more than {MOST_PHOTOS:,}: take several "
                "zips, or `python -m demo emotion` in a terminal."
            )
        return found

    def answers(self, photos: Sequence[PhotoFile]) -> Iterator[AnsweredPhoto]:
        """Yield the answers about each photo; one that can't be used has a problem instead.

        Raises:
            RegistryError: No version can answer.
        """
        for photo in photos:
            answers: tuple[EmotionAnswer, ...] = ()
            problem = None
            try:
                read = read_photo_with_faces(photo.read(UPLOAD_BYTES), self._cropper)
                answers = tuple(self._recognizer.recognise(read))
            except PhotoError as error:
                problem = str(error).replace(str(photo), str(photo.member))
            yield AnsweredPhoto(name=str(photo.member), answers=answers, problem=problem)


def batch_table(photos: Sequence[AnsweredPhoto], labels: Sequence[str]) -> "pd.DataFrame":
    """Return a row for each face: file, face, emotion, sure, and the probability of every label.

    Args:
        photos: The photos answered.
        labels: The order of the columns of probabilities.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {
            "file": safe_cell(table_name(photo.name)),
            "face": answer.face_index + 1,
            "emotion": safe_cell(answer.label),
            "sure": answer.sure,
            **{safe_cell(label): answer.probabilities[label] for label in labels},
        }
        for photo in photos
        for answer in photo.answers
    ]
    return pd.DataFrame(rows, columns=["file", "face", "emotion", "sure", *map(safe_cell, labels)])


def parquet_bytes(table: "pd.DataFrame") -> bytes:
    """Return a table as a Parquet file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
