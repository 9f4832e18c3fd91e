"""One person's face with another person's expression, and the metrics of the result."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, UInt8

from demo.answers import Provenance
from demo.batching import Outputs
from demo.loaded_model import Model
from demo.marking import encode_png
from demo.models import StartersComing
from demo.pasting import paste_change
from demo.predictors import BATCH, ModelProvider, Photo, read_photo_with_faces
from demo.transfer_limits import LIMITS, warnings_about
from registry.catalog import PIX2PIXHD
from registry.crops import Crop, to_array
from registry.errors import EmptyRegistry, RegistryError, app_command
from registry.files import atomic_write
from registry.transfer_metrics import TransferMetrics, TransferThresholds

MIN_STRENGTH, MAX_STRENGTH = -0.5, 1.5
"""Strengths of a change: 0 leaves the face, 1 goes all the way, below 0 away from it."""

STRIP_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Strengths of the pictures of a strip."""

EXAMPLES = Path(__file__).parent / "examples"
NEUTRAL_PEOPLE = ("sad_01.jpg", "sad_06.jpg")
"""The example people that look neutral, whatever they were drawn as."""

CONSENT = "Use only pictures of people who agree to it."
GOOD, BAD = "{}; likeness to the person {:.2f}.", "This result fails its own check."

Vector = Float[np.ndarray, "_"]


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

    def to_dict(self) -> dict[str, Any]:
        """Return all but the pictures, as JSON can hold it."""
        return {
            "sentence": self.sentence,
            "warnings": list(self.warnings),
            "limits": LIMITS,
            "strength": self.strength,
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


class FaceVectors(NamedTuple):
    """The outputs of a version's encoder for a face; expression and identity have unit length."""

    condition: Vector
    """The generator takes the difference of two of these."""
    expression: Vector
    identity: Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedCrop:
    """A face's crop and its vectors, both for one version."""

    crop: Crop
    vectors: FaceVectors


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
        outputs = _generate(model, person, target, [strength])
        ((result, mask),) = _pictures(outputs)
        picture = paste_change(source.pixels, person.crop, result, mask)
        crop = source.cropper.crop(picture, source.face(faces[0]), person.crop.spec).pixels
        (after,) = _encode(model, [crop])
        metrics = TransferMetrics(
            before=_distance(person.vectors.expression, target.expression),
            after=_distance(after.expression, target.expression),
            likeness=float(after.identity @ person.vectors.identity),
            driver_likeness=float(after.identity @ target.identity) if driver else None,
        )
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

    def strip(self, source: Photo, driver: Photo | None, faces: tuple[int, int] = (0, 0)) -> Strip:
        """Return the source's face at all STRIP_STRENGTHS; raises as `transfer`."""
        _photo_warnings(source, driver, faces)
        model, started = self._model(), time.perf_counter()
        person = self._encode_face(model, source, faces[0])
        target = self._target(model, source, driver, faces[1])
        outputs = _generate(model, person, target, STRIP_STRENGTHS)
        crops = tuple(crop for crop, _ in _pictures(outputs))
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
            (vectors,) = _encode(model, [crop.pixels])
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
            vectors = zip(*_encode(model, crops), strict=True)
            mean = FaceVectors(*(np.mean(rows, axis=0) for rows in vectors))
            unit = {k: v / np.linalg.norm(v) for k, v in mean._asdict().items() if k != "condition"}
            self._neutral[key] = mean._replace(**unit)
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


def _distance(one: Vector, other: Vector) -> float:
    return float(np.linalg.norm(one - other))


def _encode(model: Model, crops: Sequence[UInt8[np.ndarray, "s s 3"]]) -> list[FaceVectors]:
    """Return the encoder's outputs for each crop."""
    outputs = model.encode(to_array(crops))
    columns = (outputs[name] for name in FaceVectors._fields)
    return [FaceVectors(*vectors) for vectors in zip(*columns, strict=True)]


def _generate(
    model: Model, person: EncodedCrop, target: FaceVectors, strengths: Sequence[float]
) -> Outputs:
    """Return the generator's outputs for a face at each strength."""
    assert len(strengths) <= BATCH
    change = np.float32(target.condition - person.vectors.condition)
    faces = to_array([person.crop.pixels] * len(strengths))
    return model(faces, np.array(strengths, np.float32)[:, None] * change)


def _pictures(outputs: Outputs) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each picture of a generator, h w 3, and the mask of where it was changed, h w."""
    return list(zip(_to_pixels(outputs["picture"]), outputs["mask"][:, 0], strict=True))


def _to_pixels(pictures: Float[np.ndarray, "batch 3 h w"]) -> UInt8[np.ndarray, "batch h w 3"]:
    levels = (pictures.clip(0, 1) * 255).round().transpose(0, 2, 3, 1)
    return np.ascontiguousarray(levels, np.uint8)
