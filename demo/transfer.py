"""One person's face with another person's expression, and the metrics of the result."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import UInt8

from demo.answers import Provenance
from demo.face_vectors import FaceVectors, encode, mean, measure, shapes_apart
from demo.generated_faces import EncodedCrop, generate, pasted, pictures
from demo.loaded_model import Model
from demo.marking import encode_png
from demo.models import StartersComing
from demo.predictors import ModelProvider, Photo, read_photo_with_faces
from demo.transfer_limits import LIMITS, warnings_about
from registry.catalog import PIX2PIXHD
from registry.errors import EmptyRegistry, RegistryError, app_command
from registry.files import atomic_write
from registry.transfer_metrics import TransferMetrics, TransferThresholds, nearest_strength

MIN_STRENGTH, MAX_STRENGTH = -0.5, 1.5
"""Strengths of a change: 0 leaves the face, 1 goes all the way, below 0 away from it."""

STRIP_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Strengths of the pictures of a strip."""

LOWER_STRENGTHS = (0.75, 0.5, 0.25)
"""Strengths that are tried where a result isn't near enough to the expression."""

EXAMPLES = Path(__file__).parent / "examples"
NEUTRAL_PEOPLE = ("sad_01.jpg", "sad_06.jpg")
"""The example people that look neutral, whatever they were drawn as."""

CONSENT = "Use only pictures of people who agree to it."
GOOD, BAD = "{}; likeness to the person {:.2f}.", "This result fails its own check."


class BadStrength(ValueError):
    """A strength out of range; the message is one sentence for the visitor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferAnswer:
    """A photo whose face took on another expression; `save` marks it as generated.

    `crop` is the face as it stands in `picture`, and what `metrics` are measured on: for a small
    face the photo has fewer pixels than the model drew.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    crop: UInt8[np.ndarray, "size size 3"]
    strength: float
    metrics: TransferMetrics
    warnings: tuple[str, ...]
    sentence: str
    provenance: Provenance
    nearer_strength: float | None = None
    """The lower strength that comes nearer, where it was looked for and there is one."""

    def to_dict(self) -> dict[str, Any]:
        """Return all but the pictures, as JSON can hold it."""
        return {
            "sentence": self.sentence,
            "warnings": list(self.warnings),
            "limits": LIMITS,
            "strength": self.strength,
            "nearer_strength": self.nearer_strength,
            **self.metrics.to_dict(),
            **asdict(self.provenance),
        }

    @property
    def file_name(self) -> str:
        """A name for the picture's file, with version and strength."""
        version = f"{self.provenance.model}-v{self.provenance.version}"
        return f"expression-transfer_{version}_strength{self.strength:g}.png"

    def encode(self) -> bytes:
        """Return the picture as a PNG marked as generated; it names version and strength."""
        provenance = self.provenance
        texts = {
            "Software": f"Expression Studio, {provenance.model} version {provenance.version}",
            "Source": f"run {provenance.run_id}",
            "Comment": f"strength {self.strength:g}",
        }
        return encode_png(self.picture, texts)

    def save(self, path: str | Path) -> None:
        """Write the picture as a PNG marked as generated, visibly and in its XMP.

        Raises:
            ValueError: The name does not end with .png.
            OSError: It can't be written; a file that was there stays.
        """
        file = Path(path)
        if file.suffix != ".png":
            raise ValueError(f"{str(path)!r} does not end with .png: name such a file.")
        with atomic_write(file) as part:
            part.write_bytes(self.encode())


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """One face at several strengths, as crops."""

    strengths: tuple[float, ...]
    crops: tuple[UInt8[np.ndarray, "size size 3"], ...]
    provenance: Provenance


class ExpressionTransfer:
    """Gives one person another person's expression.

    Each version encodes a face once, however often its strength changes.
    """

    def __init__(self, server: ModelProvider) -> None:
        self._server = server
        self._encoded_crops: WeakKeyDictionary[Photo, dict[tuple[int, str, int], EncodedCrop]]
        self._encoded_crops = WeakKeyDictionary()
        self._neutral: dict[tuple[int, str], FaceVectors] = {}

    def status(self) -> str | None:
        """Return in words why there can be no transfer, and how to get one; None when there can."""
        try:
            self._model()
        except RegistryError as error:
            return str(error)
        return None

    def transfer(
        self,
        source: Photo,
        driver: Photo | None,
        faces: tuple[int, int] = (0, 0),
        strength: float = 1.0,
    ) -> TransferAnswer:
        """Return the source's photo, its face with the driver's expression.

        Args:
            source: Whose face it stays.
            driver: Whose expression it takes on; None makes the face neutral.
            faces: The face of the source and of the driver, 0 for the largest.
            strength: How far to go, MIN_STRENGTH to MAX_STRENGTH.

        Raises:
            BadStrength: The strength is out of range.
            NoFace: A photo shows no face, or not that many.
            ProfileFace: A face is seen from the side.
            RegistryError: No version can answer.
        """
        check_strength(strength)
        warnings = _photo_warnings(source, driver, faces)
        model, started = self._model(), time.perf_counter()
        person = self._encode_face(model, source, faces[0])
        target = self._target(model, source, driver, faces[1])
        outputs = generate(model, person, target, [strength])
        ((picture, crop),) = pasted(source, faces[0], person, outputs)
        (after,) = encode(model, [crop])
        metrics = measure(person.vectors, after, target, has_driver=driver is not None)
        thresholds = TransferThresholds.from_dict(model.version.thresholds)
        failed = thresholds.failures(metrics, strength)
        return TransferAnswer(
            picture=picture,
            crop=crop,
            strength=strength,
            metrics=metrics,
            warnings=(*failed, *filter(None, [metrics.warning]), *warnings),
            sentence=BAD if failed else GOOD.format(metrics.progress, metrics.likeness),
            provenance=Provenance.since(model, started, outputs),
        )

    def transfer_and_look_lower(
        self,
        source: Photo,
        driver: Photo | None,
        faces: tuple[int, int] = (0, 0),
        strength: float = 1.0,
    ) -> TransferAnswer:
        """Return what `transfer` does, with its `nearer_strength`; arguments and errors alike."""
        answer = self.transfer(source, driver, faces, strength)
        return replace(answer, nearer_strength=self.nearer_strength(source, driver, faces, answer))

    def nearer_strength(
        self, source: Photo, driver: Photo | None, faces: tuple[int, int], shown: TransferAnswer
    ) -> float | None:
        """Return the strength below a result's at which the blendshapes come nearest.

        None where the result is near enough, or no lower strength brings them nearer to the
        driver's than both the result and the source; and for a version without blendshapes.

        Args:
            source: As for `transfer`.
            driver: As for `transfer`.
            faces: As for `transfer`.
            shown: What `transfer` returned for these.

        Raises:
            RegistryError: No version can answer.
        """
        model, reached = self._model(), shown.metrics.blendshapes_after
        thresholds = TransferThresholds.from_dict(model.version.thresholds)
        strengths = [each for each in LOWER_STRENGTHS if each < shown.strength]
        failed = thresholds.expression_failure(shown.metrics, shown.strength)
        is_of_model = model.version.number == shown.provenance.version
        if not (failed and strengths and is_of_model) or reached is None:
            return None
        person = self._encode_face(model, source, faces[0])
        target = self._target(model, source, driver, faces[1])
        outputs = generate(model, person, target, strengths)
        crops = [crop for _, crop in pasted(source, faces[0], person, outputs)]
        found = [shapes_apart(each, target) for each in encode(model, crops)]
        before = shapes_apart(person.vectors, target)
        if before is None:
            return None
        distances = {s: each for s, each in zip(strengths, found, strict=True) if each is not None}
        return nearest_strength(distances, before, reached)

    def strip(self, source: Photo, driver: Photo | None, faces: tuple[int, int] = (0, 0)) -> Strip:
        """Return the source's face at all STRIP_STRENGTHS; raises as `transfer`."""
        _photo_warnings(source, driver, faces)
        model, started = self._model(), time.perf_counter()
        person = self._encode_face(model, source, faces[0])
        target = self._target(model, source, driver, faces[1])
        outputs = generate(model, person, target, STRIP_STRENGTHS)
        crops = tuple(crop for crop, _ in pictures(outputs, person.crop))
        provenance = Provenance.since(model, started, outputs)
        return Strip(strengths=STRIP_STRENGTHS, crops=crops, provenance=provenance)

    def _model(self) -> Model:
        try:
            return self._server.model(PIX2PIXHD.name)
        except StartersComing:
            raise
        except EmptyRegistry as error:
            raise EmptyRegistry(
                f"No version of {PIX2PIXHD.name} is in production yet. `{app_command()} seed` puts "
                f"the starter there, `python -m registry promote {PIX2PIXHD.name} VERSION` one of "
                "your own."
            ) from error

    def _encode_face(self, model: Model, photo: Photo, index: int) -> EncodedCrop:
        """Return a face's crop and vectors; the encoder runs at the first call."""
        encoded = self._encoded_crops.setdefault(photo, {})
        key = (model.version.number, model.version.run_id, index)
        if key not in encoded:
            crop = photo.crop(index, model.version.crop)
            (vectors,) = encode(model, [crop.pixels])
            encoded[key] = EncodedCrop(crop=crop, vectors=vectors)
        return encoded[key]

    def _target(self, model: Model, source: Photo, driver: Photo | None, index: int) -> FaceVectors:
        """Return the vectors of the face whose expression is taken on."""
        if driver is None:
            return self._neutral_vectors(model, source)
        return self._encode_face(model, driver, index).vectors

    def _neutral_vectors(self, model: Model, source: Photo) -> FaceVectors:
        """Return what counts as neutral for a version: our own decision.

        The mean of two synthetic people who look neutral, by the version's encoder. A version
        carries no such face, and no data set of neutral faces is available here.
        """
        key = (model.version.number, model.version.run_id)
        if key not in self._neutral:
            paths = [EXAMPLES / name for name in NEUTRAL_PEOPLE]
            people = [read_photo_with_faces(path, source.cropper) for path in paths]
            crops = [person.crop(0, model.version.crop).pixels for person in people]
            self._neutral[key] = mean(encode(model, crops))
        return self._neutral[key]


def check_strength(strength: float) -> None:
    """Raise BadStrength unless it is MIN_STRENGTH to MAX_STRENGTH."""
    if not MIN_STRENGTH <= strength <= MAX_STRENGTH:
        limits = f"{MIN_STRENGTH:g} to {MAX_STRENGTH:g}"
        raise BadStrength(f"{strength:g} is no strength: choose one from {limits}.")


def _photo_warnings(source: Photo, driver: Photo | None, faces: tuple[int, int]) -> tuple[str, ...]:
    """Return what may spoil the result; raises as `transfer` does, before a model is called."""
    warnings = warnings_about(source.face(faces[0]), "The face to change")
    if driver is None:
        return warnings
    driver_face = driver.face(faces[1])
    return warnings + warnings_about(driver_face, "The face to take the expression from")
