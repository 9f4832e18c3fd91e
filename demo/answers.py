"""What the models answer about faces; `to_dict` is an answer as JSON.

Faces are counted from 0 in this code, and from 1 in sentences and in JSON. Boxes are left, top,
right, bottom in pixels of their photo.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from demo.batching import Outputs
from demo.loaded_model import Model
from demo.output_cache import CachedOutputs
from registry.faces import Face

Box = tuple[float, float, float, float]
Distances = tuple[float, float, float]
Pair = tuple[int, int]

PAIRS: tuple[Pair, Pair, Pair] = ((1, 2), (1, 3), (2, 3))
"""The pairs of three photos, in the order of every list of three distances."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Which version answered, on which device, by which engine, in how many seconds.

    The seconds include cropping. An engine is what computes the network: "onnxruntime" or "torch".
    `cached`: the network had computed the same faces before, and its outputs were kept.
    `validated`: the version passed the gates of promotion, or is a starter.
    """

    model: str
    version: int
    run_id: str
    device: str
    engine: str
    seconds: float
    cached: bool = False
    validated: bool = True

    @classmethod
    def since(cls, model: Model, started: float, *outputs: Outputs) -> "Provenance":
        """Return the provenance of an answer.

        Args:
            model: The version that answered.
            started: When the answer was begun, a `time.perf_counter()`.
            outputs: What the model returned for it.
        """
        return cls(
            model=model.version.name,
            version=model.version.number,
            run_id=model.version.run_id,
            device=model.device,
            engine=model.engine,
            seconds=time.perf_counter() - started,
            cached=bool(outputs) and all(isinstance(each, CachedOutputs) for each in outputs),
            validated=model.version.is_validated,
        )

    def __str__(self) -> str:
        version = f"version {self.version}{'' if self.validated else ' (not validated)'}"
        place = f"{self.device}, {self.engine}, {self.duration}"
        return f"{self.model}, {version}, run {self.run_id[:8]}, {place}"

    @property
    def duration(self) -> str:
        """The seconds in words; they are few where the outputs were kept."""
        return f"{self.seconds:.2f} s{', from the cache' if self.cached else ''}"


@dataclass(frozen=True, kw_only=True)
class TripletAnswer:
    """Which two of three photos (1, 2, 3) share an expression.

    `close` is true where another pair is nearly as close (a tie included), so that people would
    often answer otherwise.

    Distances are Euclidean between unit vectors, 0 to 2, of the pairs (1, 2), (1, 3), (2, 3).
    `identity_distances` is None where a version gives no identity. `boxes` are the faces compared,
    as left, top, right, bottom in pixels of their photos.
    """

    pair: Pair
    odd: int
    tie: bool
    close: bool
    distances: Distances
    identity_distances: Distances | None
    sentence: str
    provenance: Provenance
    boxes: tuple[Box, Box, Box]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON can hold it."""
        return {
            "pair": list(self.pair),
            "odd": self.odd,
            "tie": self.tie,
            "close": self.close,
            "distances": list(self.distances),
            "identity_distances": self.identity_distances and list(self.identity_distances),
            "sentence": self.sentence,
            **asdict(self.provenance),
            "boxes": [list(box) for box in self.boxes],
        }


@dataclass(frozen=True, kw_only=True)
class EmotionAnswer:
    """A face's emotion: the likeliest label, and all probabilities, highest first.

    They are those for equally likely labels where the version has a class prior; `in_the_wild` are
    then those for labels as frequent as in the photos that it learned from, highest first. For a
    version without, `probabilities` are as in the wild, and `in_the_wild` is None.

    `sure` is false where that label is unlikely, or it is uncertain which side of the face is up.
    """

    face_index: int
    face: Face
    label: str
    probabilities: dict[str, float]
    in_the_wild: dict[str, float] | None = None
    sure: bool
    sentence: str
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON can hold it; its face counts from 1."""
        return {
            "face": self.face_index + 1,
            "box": list(self.face.box),
            "label": self.label,
            "probabilities": self.probabilities,
            "in_the_wild": self.in_the_wild,
            "sure": self.sure,
            "sentence": self.sentence,
            **asdict(self.provenance),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """A face as vectors of unit length; `identity` is None where a version gives none."""

    face_index: int
    face: Face
    expression: Float[np.ndarray, "d"]
    identity: Float[np.ndarray, "k"] | None
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Return the vectors as JSON can hold them; their face counts from 1."""
        return {
            "face": self.face_index + 1,
            "box": list(self.face.box),
            "expression": self.expression.tolist(),
            "identity": None if self.identity is None else self.identity.tolist(),
            **asdict(self.provenance),
        }
