"""ConditionSampler asked of faces, and their answers: plain Python, no page.

A photo is looked at once and cut once per CropSpec; which CropSpec that is, the version that
answers decides. Faces are counted from 0 here and from 1 in sentences.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from demo.models import Model
from registry.catalog import DLN, EMOTION
from registry.crops import Crop, CropSpec, to_tensor
from registry.faces import Face, FaceCropper, select_face
from registry.photos import PhotoSource, read_photo

NOT_SURE_BELOW = 0.4
"""Probability of the likeliest emotion below which the answer is "not sure"."""

TIE_WITHIN = 1e-3
"""Distances (of 0 to 2) closer than this are the same: devices and resizing differ by as much."""

PAIRS = ((1, 2), (1, 3), (2, 3))
"""The pairs of three photos, in the order of all distances here."""

BATCH = 16
SENTENCE = "{} and {} share an expression; {} is the odd one."
SURE, NOT_SURE = "{}, {:.0%}", "not sure; {} is likeliest with {:.0%}"
TIE_SENTENCE = "It is a tie: two pairs are equally close, so none of the three is the odd one."
Distances = tuple[float, float, float]


@runtime_checkable
class Versions(Protocol):
    """Where the version that answers comes from; `demo.models.ModelServer` is one."""

    def model(self, name: str) -> Model:
        """Return the version of `name` that answers now."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that has been looked at: RGB pixels, upright, and its faces, largest first."""

    pixels: UInt8[np.ndarray, "h w 3"]
    faces: tuple[Face, ...]
    cropper: FaceCropper
    _crops: dict[tuple[int, CropSpec], Crop] = field(default_factory=dict, init=False, repr=False)

    def face(self, which: int = 0) -> Face:
        """Return one of the faces.

        Raises:
            NoFace: The photo shows no face, or fewer.
        """
        return select_face(self.faces, which)

    def crop(self, which: int, spec: CropSpec) -> Crop:
        """Return a face as a model wants it; cut at the first call."""
        key = (which, spec)
        if key not in self._crops:
            self._crops[key] = self.cropper.crop(self.pixels, self.face(which), spec)
        return self._crops[key]


def look(source: PhotoSource, cropper: FaceCropper) -> Photo:
    """Read a photo and find its faces; there may be none.

    Raises:
        PhotoError: It is no photo; the message says what to do.
    """
    pixels = read_photo(source)
    return Photo(pixels, tuple(cropper.faces(pixels)), cropper)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Who answered, where, and in how many seconds, cutting included."""

    model: str
    version: int
    run_id: str
    device: str
    seconds: float

    def __str__(self) -> str:
        run = self.run_id[:8]
        return (
            f"{self.model}, version {self.version}, run {run}, {self.device}, {self.seconds:.2f} s"
        )


@dataclass(frozen=True, kw_only=True)
class TripletAnswer:
    """Which two of three photos (1, 2, 3) share an expression.

    Distances are Euclidean between unit vectors, 0 to 2, of the pairs (1, 2), (1, 3), (2, 3).
    `identity_distances` is None where a version knows no identity.
    """

    pair: tuple[int, int]
    odd: int
    tie: bool
    distances: Distances
    identity_distances: Distances | None
    sentence: str
    stamp: Provenance


@dataclass(frozen=True, kw_only=True)
class EmotionAnswer:
    """A face's emotion: the likeliest label, and all probabilities, highest first."""

    which: int
    face: Face
    label: str
    probabilities: dict[str, float]
    sure: bool
    sentence: str
    stamp: Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """A face as vectors of unit length; `identity` is None where a version knows none."""

    which: int
    face: Face
    expression: Float[np.ndarray, "d"]
    identity: Float[np.ndarray, "k"] | None
    stamp: Provenance


class TripletComparer:
    """Says which two of three faces share an expression: the pair with the smallest distance."""

    def __init__(self, served: Versions) -> None:
        self._served = served

    def compare(self, photos: Sequence[Photo], which: Sequence[int] = (0, 0, 0)) -> TripletAnswer:
        """Compare one face of each of three photos.

        Raises:
            NoFace: A photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        chosen = list(zip(photos, which, strict=True))
        assert len(chosen) == len(PAIRS)
        for photo, face in chosen:
            photo.face(face)
        outputs, stamp = _ask(self._served.model(DLN.name), chosen)
        distances = _distances(outputs["expression"])
        pair, odd, tie = judge(distances)
        return TripletAnswer(
            pair=pair,
            odd=odd,
            tie=tie,
            distances=distances,
            identity_distances=_distances(outputs["identity"]) if "identity" in outputs else None,
            sentence=TIE_SENTENCE if tie else SENTENCE.format(*pair, odd),
            stamp=stamp,
        )

    def embed(self, photo: Photo, which: Sequence[int] | None = None) -> list[Embedding]:
        """Return the vectors of all faces of a photo, or of those named.

        Raises:
            NoFace: The photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        faces = _chosen(photo, which)
        outputs, stamp = _ask(self._served.model(DLN.name), [(photo, face) for face in faces])
        identities = outputs.get("identity", [None] * len(faces))
        return [
            Embedding(which=n, face=photo.face(n), expression=first, identity=second, stamp=stamp)
            for n, first, second in zip(faces, outputs["expression"], identities, strict=True)
        ]


class EmotionRecognizer:
    """Names the emotion of each face of a photo."""

    def __init__(self, served: Versions) -> None:
        self._served = served

    def recognise(self, photo: Photo, which: Sequence[int] | None = None) -> list[EmotionAnswer]:
        """Return one answer a face, for all faces of a photo or for those named.

        Raises:
            NoFace: The photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        faces = _chosen(photo, which)
        model = self._served.model(EMOTION.name)
        outputs, stamp = _ask(model, [(photo, face) for face in faces])
        return [
            _emotion(
                which, photo.face(which), dict(zip(model.version.labels, row, strict=True)), stamp
            )
            for which, row in zip(faces, _softmax(outputs["logits"]).tolist(), strict=True)
        ]


def judge(distances: Distances) -> tuple[tuple[int, int], int, bool]:
    """Return the closest pair, the odd one, and whether another pair is as close."""
    first, second, _ = np.argsort(distances, kind="stable")
    pair = PAIRS[first]
    return pair, 6 - sum(pair), bool(distances[second] - distances[first] < TIE_WITHIN)


def _ask(
    model: Model, chosen: Sequence[tuple[Photo, int]]
) -> tuple[dict[str, Float[np.ndarray, "faces _"]], Provenance]:
    """Return a model's outputs for faces of photos, and who gave them."""
    started = time.perf_counter()
    crops = [photo.crop(which, model.version.crop).pixels for photo, which in chosen]
    parts = [model(to_tensor(crops[i : i + BATCH])) for i in range(0, len(crops), BATCH)]
    outputs = {key: np.concatenate([part[key].numpy() for part in parts]) for key in parts[0]}
    return outputs, stamped(model, started)


def stamped(model: Model, started: float) -> Provenance:
    """Return who answered, in the time since `started` (of `time.perf_counter`)."""
    return Provenance(
        model=model.version.name,
        version=model.version.number,
        run_id=model.version.run_id,
        device=model.device,
        seconds=time.perf_counter() - started,
    )


def _chosen(photo: Photo, which: Sequence[int] | None) -> list[int]:
    """Return the faces asked for, at least one; raises NoFace when the photo hasn't got them."""
    faces = list(range(max(1, len(photo.faces)))) if which is None else list(which)
    for face in faces:
        photo.face(face)
    return faces


def _distances(vectors: Float[np.ndarray, "3 d"]) -> Distances:
    first, second, third = (
        float(np.linalg.norm(vectors[i - 1] - vectors[j - 1])) for i, j in PAIRS
    )
    return first, second, third


def _softmax(logits: Float[np.ndarray, "faces labels"]) -> Float[np.ndarray, "faces labels"]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _emotion(
    which: int, face: Face, probabilities: Mapping[str, float], stamp: Provenance
) -> EmotionAnswer:
    ordered = dict(sorted(probabilities.items(), key=lambda item: -item[1]))
    label, top = next(iter(ordered.items()))
    sure = top >= NOT_SURE_BELOW
    return EmotionAnswer(
        which=which,
        face=face,
        label=label,
        probabilities=ordered,
        sure=sure,
        sentence=(SURE if sure else NOT_SURE).format(label, top),
        stamp=stamp,
    )
