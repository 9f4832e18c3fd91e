"""A face's emotion in a stream of pictures, smoothed over time."""

import base64
import binascii
import math
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

from demo.answers import EmotionAnswer
from demo.predictors import EmotionRecognizer, emotion_sentence, read_photo_with_faces
from registry.faces import FaceCropper
from registry.photos import PhotoError

SMOOTHED_SECONDS = 1.0
"""Time constant of the exponential average: what a face showed so long ago counts 37 %."""
FORGOTTEN_SECONDS = 5.0
"""After so long without a face the average begins again."""
DATA_URL = "data:image/jpeg;base64,"


class Smoothed(NamedTuple):
    """The average of the probabilities so far, and when it was computed: `time.monotonic()`."""

    probabilities: dict[str, float]
    at: float


@dataclass(frozen=True, kw_only=True)
class LiveAnswer:
    """The emotion of the largest face of a picture, and the average to give with the next one."""

    answer: EmotionAnswer
    smoothed: Smoothed
    faces: int


class LiveEmotion:
    """Names the emotion of the largest face of each picture of a stream; keeps no picture.

    Args:
        recognizer: Answers about a picture.
        cropper: Detects the faces.
    """

    def __init__(self, recognizer: EmotionRecognizer, cropper: FaceCropper) -> None:
        self._recognizer, self._cropper = recognizer, cropper

    def answer(self, picture: bytes, before: Smoothed | None) -> LiveAnswer:
        """Return the emotion, averaged with those before.

        Args:
            picture: A JPEG file's content.
            before: What the last answer returned; None for the first picture.

        Raises:
            NoFace: The picture shows no face.
            PhotoError: It is no picture.
            RegistryError: No version can answer.
        """
        photo = read_photo_with_faces(picture, self._cropper)
        (answer,) = self._recognizer.recognise(photo, [0])
        smoothed = smooth(answer.probabilities, time.monotonic(), before)
        ordered = dict(sorted(smoothed.probabilities.items(), key=lambda item: -item[1]))
        label, sure, sentence = emotion_sentence(ordered, answer.face)
        shown = replace(
            answer,
            label=label,
            probabilities=ordered,
            in_the_wild=None,
            sure=sure,
            sentence=sentence,
        )
        return LiveAnswer(answer=shown, smoothed=smoothed, faces=len(photo.faces))


def smooth(probabilities: dict[str, float], at: float, before: Smoothed | None) -> Smoothed:
    """Return the exponential average with what was before: weights fall by e a SMOOTHED_SECONDS.

    Args:
        probabilities: Of each label, now.
        at: When, as `time.monotonic()`.
        before: The average so far; one of other labels, or of long ago, counts nothing.
    """
    if before is None or set(before.probabilities) != set(probabilities):
        return Smoothed(probabilities, at)
    passed = at - before.at
    old = math.exp(-passed / SMOOTHED_SECONDS) if passed < FORGOTTEN_SECONDS else 0.0
    mixed = {
        label: old * before.probabilities[label] + (1 - old) * share
        for label, share in probabilities.items()
    }
    return Smoothed(mixed, at)


def decoded_frame(url: str) -> bytes:
    """Return the JPEG file in a data URL, as a browser sends a frame of its camera.

    Raises:
        PhotoError: It is none.
    """
    try:
        return base64.b64decode(url.removeprefix(DATA_URL), validate=True)
    except binascii.Error as error:
        raise PhotoError("The camera's picture can't be read; start it again.") from error
