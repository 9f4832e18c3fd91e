"""What a generator's version says of a face: its vectors, and what is measured between two."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from demo.loaded_model import Model
from registry.crops import to_array
from registry.transfer_metrics import TransferMetrics

Vector = Float[np.ndarray, "_"]


class FaceVectors(NamedTuple):
    """The outputs of a version's encoder for a face; expression and identity have unit length."""

    condition: Vector
    """The generator takes the difference of two of these."""
    expression: Vector
    identity: Vector
    blendshapes: Vector | None
    """None for a version without this output."""


def distance(one: Vector, other: Vector) -> float:
    """Return the Euclidean distance."""
    return float(np.linalg.norm(one - other))


def shapes_apart(one: FaceVectors, other: FaceVectors) -> float | None:
    """Return the distance of two faces' blendshapes; None where the version gives none."""
    if one.blendshapes is None or other.blendshapes is None:
        return None
    return distance(one.blendshapes, other.blendshapes)


def measure(
    before: FaceVectors, after: FaceVectors, target: FaceVectors, *, has_driver: bool
) -> TransferMetrics:
    """Return the metrics of a result.

    Args:
        before: The face that was changed.
        after: The same face in the result.
        target: The face whose expression it should get.
        has_driver: Whether that is one person's face, whom the result may be like.
    """
    return TransferMetrics(
        before=distance(before.expression, target.expression),
        after=distance(after.expression, target.expression),
        likeness=float(after.identity @ before.identity),
        driver_likeness=float(after.identity @ target.identity) if has_driver else None,
        blendshapes_before=shapes_apart(before, target),
        blendshapes_after=shapes_apart(after, target),
    )


def encode(model: Model, crops: Sequence[UInt8[np.ndarray, "s s 3"]]) -> list[FaceVectors]:
    """Return the encoder's outputs for each crop."""
    outputs = model.encode(to_array(crops))
    lacking = [None] * len(crops)
    columns = (outputs.get(name, lacking) for name in FaceVectors._fields)
    return [FaceVectors(*vectors) for vectors in zip(*columns, strict=True)]


def mean(people: Sequence[FaceVectors]) -> FaceVectors:
    """Return the mean of faces' vectors; expression and identity have unit length again."""
    condition, expression, identity, shapes = zip(*people, strict=True)
    known = [each for each in shapes if each is not None]
    return FaceVectors(
        condition=_mean_vector(condition),
        expression=_unit(_mean_vector(expression)),
        identity=_unit(_mean_vector(identity)),
        blendshapes=_mean_vector(known) if known else None,
    )


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector))


def _mean_vector(rows: Sequence[Vector]) -> Vector:
    return np.asarray(np.mean(rows, axis=0))
