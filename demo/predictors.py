"""Faces in, answers out: which two of three faces share an expression, and a face's emotion.

Plain Python, without Gradio. A photo's faces are detected once and cropped once for each CropSpec;
the version that answers says which CropSpec it takes. Faces are counted from 0 in this code, and
from 1 in sentences and in JSON.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from demo.answers import (
    PAIRS,
    Distances,
    Embedding,
    EmotionAnswer,
    Pair,
    Provenance,
    TripletAnswer,
)
from demo.loaded_model import Model
from registry.catalog import DLN, EMOTION
from registry.crops import Crop, CropSpec, to_array
from registry.faces import Face, FaceCropper, select_face
from registry.photos import PhotoSource, read_photo

NOT_SURE_BELOW = 0.75
"""Probability of the likeliest emotion below which the answer is "not sure".

Measured by benchmarks/emotion_threshold.py for the shipped emotion classifier, its class prior
taken out. On test faces of the sets that it learned from, 63 % of FER+'s and 72 % of lfw-emotion's
get a sure answer, and 9 and 5 % of those are wrong. With the prior fitted on all sets but FER+,
15 % of the sure answers about FER+ are wrong, as many as we allow (our decision).
"""

TIE_WITHIN = 1e-3
"""Distances (of 0 to 2) closer than this count as equal: devices and resizing differ that much."""

CLOSE_BELOW = 0.35
"""Margin below which an answer about three faces is a close call: that of the two smallest
distances. Measured by benchmarks/triplet_margin.py for the shipped dln on FER+'s fixed triplets: at
this margin the answer is what people voted in 75 % of the validation triplets. Of 30,000 test
triplets 41 % are below it, and 60 % of those are answered as people voted; 90 % of the others.
"""

BATCH = 16
SENTENCE = "{} and {} share an expression; {} is the odd one."
CLOSE_SENTENCE = "A close call: {} and {} may share an expression, and {} may be the odd one."
SURE, NOT_SURE = "{}, {:.0%}", "not sure: {}"
MAY_BE_TURNED = "it is uncertain which side of {} is up"
TIE_SENTENCE = "It is a tie: two pairs are equally close, so none of the three is the odd one."


@runtime_checkable
class ModelProvider(Protocol):
    """Gives the version that answers; `demo.models.ModelServer` is one."""

    def model(self, name: str) -> Model:
        """Return the version of `name` that answers now."""


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright RGB photo and the faces detected in it, largest first."""

    pixels: UInt8[np.ndarray, "h w 3"]
    faces: tuple[Face, ...]
    cropper: FaceCropper
    _crops: dict[tuple[int, CropSpec], Crop] = field(default_factory=dict, init=False, repr=False)

    def face(self, index: int = 0) -> Face:
        """Return one of the faces, 0 for the largest.

        Raises:
            NoFace: The photo shows no face, or fewer.
        """
        return select_face(self.faces, index)

    @property
    def left_to_right(self) -> list[int]:
        """The indices of the faces as they stand in the photo, from its left edge."""
        return sorted(range(len(self.faces)), key=lambda index: sum(self.faces[index].box[::2]))

    def crop(self, index: int, spec: CropSpec) -> Crop:
        """Return a face as a model takes it; cropped at the first call."""
        key = (index, spec)
        if key not in self._crops:
            self._crops[key] = self.cropper.crop(self.pixels, self.face(index), spec)
        return self._crops[key]


def read_photo_with_faces(source: PhotoSource, cropper: FaceCropper) -> Photo:
    """Read a photo and detect its faces; there may be none.

    Raises:
        PhotoError: It is no photo; the message says what to do.
    """
    pixels = read_photo(source)
    return Photo(pixels, tuple(cropper.faces(pixels)), cropper)


class TripletComparer:
    """Finds which two of three faces share an expression: the pair with the smallest distance."""

    def __init__(self, server: ModelProvider) -> None:
        self._server = server

    def compare(self, photos: Sequence[Photo], faces: Sequence[int] = (0, 0, 0)) -> TripletAnswer:
        """Compare one face of each of three photos.

        Raises:
            NoFace: A photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        chosen = list(zip(photos, faces, strict=True))
        assert len(chosen) == len(PAIRS)
        first, second, third = (photo.face(index).box for photo, index in chosen)
        outputs, provenance = _run_model(self._server.model(DLN.name), chosen)
        distances = _pair_distances(outputs["expression"])
        identity = outputs.get("identity")
        pair, odd, margin = closest_pair(distances)
        return TripletAnswer(
            pair=pair,
            odd=odd,
            tie=margin < TIE_WITHIN,
            close=margin < CLOSE_BELOW,
            distances=distances,
            identity_distances=None if identity is None else _pair_distances(identity),
            sentence=_sentence(margin).format(*pair, odd) + _doubts(chosen),
            provenance=provenance,
            boxes=(first, second, third),
        )

    def embed(self, photo: Photo, faces: Sequence[int] | None = None) -> list[Embedding]:
        """Return the vectors of all faces of a photo, or of the given ones.

        Raises:
            NoFace: The photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        indices = _face_indices(photo, faces)
        chosen = [(photo, index) for index in indices]
        outputs, provenance = _run_model(self._server.model(DLN.name), chosen)
        identities = outputs.get("identity", [None] * len(indices))
        return [
            Embedding(
                face_index=index,
                face=photo.face(index),
                expression=expression,
                identity=identity,
                provenance=provenance,
            )
            for index, expression, identity in zip(
                indices, outputs["expression"], identities, strict=True
            )
        ]


class EmotionRecognizer:
    """Names the emotion of each face of a photo."""

    def __init__(self, server: ModelProvider) -> None:
        self._server = server

    def recognise(self, photo: Photo, faces: Sequence[int] | None = None) -> list[EmotionAnswer]:
        """Return the emotion of all faces of a photo, or of the given ones.

        Raises:
            NoFace: The photo shows no face, or not that many.
            RegistryError: No version can answer.
        """
        indices = _face_indices(photo, faces)
        model = self._server.model(EMOTION.name)
        outputs, provenance = _run_model(model, [(photo, index) for index in indices])
        labels, logits = model.version.labels, outputs["logits"]
        prior = model.version.class_prior
        wild: Sequence[dict[str, float] | None] = [None] * len(indices)
        found = _by_label(labels, logits)
        if prior:
            wild, found = found, _by_label(labels, logits - np.log([prior[k] for k in labels]))
        return [
            _emotion_answer(index, photo.face(index), probabilities, in_the_wild, provenance)
            for index, probabilities, in_the_wild in zip(indices, found, wild, strict=True)
        ]


def closest_pair(distances: Distances) -> tuple[Pair, int, float]:
    """Return the closest pair, the odd one, and by how much the next pair is farther, 0 to 2."""
    first, second, _ = np.argsort(distances, kind="stable")
    pair = PAIRS[first]
    return pair, 6 - sum(pair), distances[second] - distances[first]


def _sentence(margin: float) -> str:
    if margin < TIE_WITHIN:
        return TIE_SENTENCE
    return CLOSE_SENTENCE if margin < CLOSE_BELOW else SENTENCE


def _doubts(chosen: Sequence[tuple[Photo, int]]) -> str:
    """Return a sentence for each of the photos, counted from 1, whose face may be turned."""
    turned = [
        f"the face in photo {number}"
        for number, (photo, index) in enumerate(chosen, 1)
        if photo.face(index).uncertain_roll
    ]
    return "".join(f" Note: {MAY_BE_TURNED.format(face)}." for face in turned)


def _run_model(
    model: Model, chosen: Sequence[tuple[Photo, int]]
) -> tuple[dict[str, Float[np.ndarray, "faces _"]], Provenance]:
    """Return a model's outputs for faces of photos, and their provenance."""
    started = time.perf_counter()
    crops = [photo.crop(index, model.version.crop).pixels for photo, index in chosen]
    batches = [model(to_array(crops[i : i + BATCH])) for i in range(0, len(crops), BATCH)]
    outputs = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    return outputs, Provenance.since(model, started, *batches)


def _face_indices(photo: Photo, faces: Sequence[int] | None) -> list[int]:
    """Return the given faces, or all; raises NoFace where the photo lacks one."""
    indices = list(range(max(1, len(photo.faces)))) if faces is None else list(faces)
    for index in indices:
        photo.face(index)
    return indices


def _pair_distances(vectors: Float[np.ndarray, "3 d"]) -> Distances:
    first, second, third = (
        float(np.linalg.norm(vectors[i - 1] - vectors[j - 1])) for i, j in PAIRS
    )
    return first, second, third


def _by_label(
    labels: Sequence[str], logits: Float[np.ndarray, "faces labels"]
) -> list[dict[str, float]]:
    """Return each face's probabilities, highest first."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = (powers / powers.sum(axis=1, keepdims=True)).tolist()
    rows = (zip(labels, row, strict=True) for row in shares)
    return [dict(sorted(row, key=lambda item: -item[1])) for row in rows]


def emotion_sentence(ordered: Mapping[str, float], face: Face) -> tuple[str, bool, str]:
    """Return a face's label, whether it is sure, and a sentence.

    Where it is not sure, the sentence names the likeliest emotions: as few as have NOT_SURE_BELOW
    together.

    Args:
        ordered: The probability of each emotion, highest first.
        face: The face.
    """
    label, top = next(iter(ordered.items()))
    if top >= NOT_SURE_BELOW and not face.uncertain_roll:
        return label, True, SURE.format(label, top)
    sums = np.cumsum(list(ordered.values()))
    count = int(np.searchsorted(sums, NOT_SURE_BELOW)) + 1
    named = [f"{name} ({share:.0%})" for name, share in islice(ordered.items(), count)]
    listed = " or ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    turned = f"; {MAY_BE_TURNED.format('the face')}" if face.uncertain_roll else ""
    return label, False, NOT_SURE.format(listed) + turned


def _emotion_answer(
    index: int,
    face: Face,
    probabilities: dict[str, float],
    in_the_wild: dict[str, float] | None,
    provenance: Provenance,
) -> EmotionAnswer:
    label, sure, sentence = emotion_sentence(probabilities, face)
    return EmotionAnswer(
        face_index=index,
        face=face,
        label=label,
        probabilities=probabilities,
        in_the_wild=in_the_wild,
        sure=sure,
        sentence=sentence,
        provenance=provenance,
    )
