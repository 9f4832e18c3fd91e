"""One person's face with another person's expression, and what the result is worth."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, UInt8

from demo.limits import OPEN_FACES, doubts
from demo.models import Model
from demo.pasting import pasted
from demo.predictors import BATCH, Photo, Provenance, Versions, look, stamped
from registry.catalog import PIX2PIXHD
from registry.crops import Crop, to_tensor
from registry.errors import EmptyRegistry, RegistryError
from registry.transfer_metrics import TransferMetrics, TransferThresholds

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST = -0.5, 1.5
"""Strengths of a change: 0 leaves the face, 1 goes all the way, below 0 away from it."""

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Strengths of the pictures of a strip."""

EXAMPLES = Path(__file__).parent / "examples"
NEUTRAL = ("sad_01.jpg", "sad_06.jpg")
"""The example people that look neutral, whatever they were drawn as."""

NO_TRANSFER = (
    f"No version of {PIX2PIXHD.name} is in production yet. `python app.py seed` puts the starter "
    f"there, `python -m registry promote {PIX2PIXHD.name} VERSION` one of your own."
)
CONSENT = "Use only pictures of people who agree to it."
GOOD, BAD = "{}, and still the same person.", "This result fails its own check."

Vector = Float[np.ndarray, "_"]


class BadStrength(ValueError):
    """A strength out of range; the message is one sentence for the visitor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferAnswer:
    """A photo whose face took on another expression, unmarked: `demo.marking` marks it.

    `crop` is the face as it stands in `picture`, and what `metrics` are measured on: of a small
    face the photo has fewer pixels than the model drew.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    crop: UInt8[np.ndarray, "size size 3"]
    strength: float
    metrics: TransferMetrics
    warnings: tuple[str, ...]
    sentence: str
    stamp: Provenance

    def told(self) -> dict[str, Any]:
        """Return all but the pictures, as JSON can hold it."""
        said = {"sentence": self.sentence, "warnings": list(self.warnings), "limits": OPEN_FACES}
        measured = {"strength": self.strength} | self.metrics.to_dict()
        return said | measured | vars(self.stamp)


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """One face at several strengths, as crops."""

    strengths: tuple[float, ...]
    crops: tuple[UInt8[np.ndarray, "size size 3"], ...]
    stamp: Provenance


class EncodedFace(NamedTuple):
    """What a version's encoder says of a face; expression and identity are of unit length."""

    condition: Vector
    """Between two of these a change is."""
    expression: Vector
    identity: Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedCrop:
    """A face as one version sees it."""

    crop: Crop
    seen: EncodedFace


class ExpressionTransfer:
    """Gives one person another person's expression.

    A face is encoded once by each version, however often its strength changes.
    """

    def __init__(self, served: Versions) -> None:
        self._served = served
        self._seen: WeakKeyDictionary[Photo, dict[tuple[int, str, int], EncodedCrop]]
        self._seen = WeakKeyDictionary()
        self._neutral: dict[tuple[int, str], EncodedFace] = {}

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
        which: tuple[int, int] = (0, 0),
        strength: float = 1.0,
    ) -> TransferAnswer:
        """Return the source's photo, its face with the driver's expression.

        Args:
            source: Whose face it stays.
            driver: Whose expression it takes on; None makes the face neutral.
            which: The face of each, 0 for the largest.
            strength: How far to go, LEAST to MOST.

        Raises:
            BadStrength: The strength is out of range.
            NoFace: A photo shows no face, or not that many.
            Profile: A face is seen from the side.
            RegistryError: No version can answer.
        """
        check_strength(strength)
        warnings = _doubts(source, driver, which)
        model, started = self._model(), time.perf_counter()
        person = self._encoded(model, source, which[0])
        wanted = self._wanted(model, source, driver, which[1])
        ((result, mask),) = _generated(model, person, wanted, [strength])
        picture = pasted(source.pixels, person.crop, result, mask)
        crop = source.cropper.crop(picture, source.face(which[0]), person.crop.spec).pixels
        (found,) = _encode(model, [crop])
        metrics = TransferMetrics(
            before=_distance(person.seen.expression, wanted.expression),
            after=_distance(found.expression, wanted.expression),
            likeness=float(found.identity @ person.seen.identity),
            driver_likeness=float(found.identity @ wanted.identity) if driver else None,
        )
        thresholds = TransferThresholds.from_dict(model.version.thresholds)
        failed = thresholds.failures(metrics, strength)
        return TransferAnswer(
            picture=picture,
            crop=crop,
            strength=strength,
            metrics=metrics,
            warnings=(*failed, *warnings),
            sentence=BAD if failed else GOOD.format(metrics.progress),
            stamp=stamped(model, started),
        )

    def strip(self, source: Photo, driver: Photo | None, which: tuple[int, int] = (0, 0)) -> Strip:
        """Return the source's face on its way to the driver's expression; raises as `transfer`."""
        _doubts(source, driver, which)
        model, started = self._model(), time.perf_counter()
        person = self._encoded(model, source, which[0])
        wanted = self._wanted(model, source, driver, which[1])
        crops = tuple(crop for crop, _ in _generated(model, person, wanted, STEPS))
        return Strip(strengths=STEPS, crops=crops, stamp=stamped(model, started))

    def _model(self) -> Model:
        try:
            return self._served.model(PIX2PIXHD.name)
        except EmptyRegistry as error:
            raise EmptyRegistry(NO_TRANSFER) from error

    def _encoded(self, model: Model, photo: Photo, which: int) -> EncodedCrop:
        """Return a face's vectors; the encoder is asked at the first call."""
        seen = self._seen.setdefault(photo, {})
        key = (model.version.number, model.version.run_id, which)
        if key not in seen:
            crop = photo.crop(which, model.version.crop)
            (found,) = _encode(model, [crop.pixels])
            seen[key] = EncodedCrop(crop=crop, seen=found)
        return seen[key]

    def _wanted(self, model: Model, source: Photo, driver: Photo | None, which: int) -> EncodedFace:
        if driver is None:
            return self._neutral_of(model, source)
        return self._encoded(model, driver, which).seen

    def _neutral_of(self, model: Model, source: Photo) -> EncodedFace:
        """Return what counts as neutral for a version: our own decision.

        The mean of two synthetic people who look neutral, by the version's encoder. A version
        carries no such face, and no data set of neutral faces is at hand here.
        """
        key = (model.version.number, model.version.run_id)
        if key not in self._neutral:
            people = [look(EXAMPLES / name, source.cropper) for name in NEUTRAL]
            crops = [person.crop(0, model.version.crop).pixels for person in people]
            parts = zip(*_encode(model, crops), strict=True)
            mean = EncodedFace(*(np.mean(part, axis=0) for part in parts))
            unit = {k: v / np.linalg.norm(v) for k, v in mean._asdict().items() if k != "condition"}
            self._neutral[key] = mean._replace(**unit)
        return self._neutral[key]


def check_strength(strength: float) -> None:
    """Raise BadStrength unless it is LEAST to MOST."""
    if not LEAST <= strength <= MOST:
        raise BadStrength(f"{strength:g} is no strength: choose one from {LEAST:g} to {MOST:g}.")


def _doubts(source: Photo, driver: Photo | None, which: tuple[int, int]) -> tuple[str, ...]:
    """Return what the photos make doubtful; raises as `transfer` does, before a model is asked."""
    said = doubts(source.face(which[0]), "The face to change")
    if driver is None:
        return said
    return said + doubts(driver.face(which[1]), "The face to take the expression from")


def _distance(one: Vector, other: Vector) -> float:
    return float(np.linalg.norm(one - other))


def _encode(model: Model, crops: Sequence[UInt8[np.ndarray, "s s 3"]]) -> list[EncodedFace]:
    """Return what the encoder says of each crop."""
    told = model.encode(to_tensor(crops))
    parts = (told[name].numpy() for name in EncodedFace._fields)
    return [EncodedFace(*vectors) for vectors in zip(*parts, strict=True)]


def _generated(
    model: Model, person: EncodedCrop, wanted: EncodedFace, strengths: Sequence[float]
) -> list[tuple[UInt8[np.ndarray, "s s 3"], Float[np.ndarray, "s s"]]]:
    """Return a face at each strength, and where it was changed."""
    import torch

    assert len(strengths) <= BATCH
    change = torch.from_numpy(wanted.condition - person.seen.condition).float()
    faces = to_tensor([person.crop.pixels] * len(strengths))
    told = model(faces, torch.tensor(strengths, dtype=torch.float32)[:, None] * change)
    masks = told["mask"][:, 0].numpy()
    return list(zip(_pixels(told["picture"]), masks, strict=True))


def _pixels(pictures: "Float[Tensor, 'batch 3 h w']") -> UInt8[np.ndarray, "batch h w 3"]:
    levels = (pictures.clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    return levels.numpy().astype(np.uint8)
