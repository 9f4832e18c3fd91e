"""What the outputs of a version's network must be, when it is exported and when it is served."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from registry.catalog import EXPRESSION_DIMS
from registry.errors import first_line

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray, Tensor)
else:
    Array = TypeVar("Array")
Shapes = Mapping[str, tuple[int, ...]]
ENCODER_SHAPES: Shapes = {"expression": (EXPRESSION_DIMS,)}
"""The shapes that outputs of a generator's encoder must have for one face."""


class OutputError(ValueError):
    """What is wrong with a network, as the end of a sentence that begins with its name."""


def network_shapes(size_px: int, labels: Sequence[str]) -> Shapes:
    """Return the shapes that outputs of a network must have for one face, by the output's name.

    A generator's picture and mask are as large as the face; a classifier has one logit a label.
    """
    return {
        "picture": (3, size_px, size_px),
        "mask": (1, size_px, size_px),
        "logits": (len(labels),),
    }


def checked_outputs(
    compute: Callable[[], Mapping[str, Array]],
    faces: Array,
    required: Iterable[str],
    shapes: Shapes,
) -> Mapping[str, Array]:
    """Return the outputs of a network, if they are what its user may rely on.

    Args:
        compute: calls the network with these faces.
        faces: batch 3 size size.
        required: names of the outputs that must be there.
        shapes: shapes for one face, by the name of an output; outputs that aren't named here may
            have any; names without an output are ignored.

    Raises:
        OutputError: the network fails, lacks an output, or gives one that isn't finite, hasn't one
            row a face or has another shape.
    """
    try:
        outputs = compute()
    except Exception as error:
        reason = first_line(error)
        raise OutputError(f"fails on faces of {faces.shape[-1]} px ({reason})") from error
    if not isinstance(outputs, Mapping):
        raise OutputError(f"returns {type(outputs).__name__} instead of outputs by name")
    if missing := sorted(set(required) - set(outputs)):
        raise OutputError(f"gives no {' and no '.join(missing)}")
    for name, output in outputs.items():
        _check(name, output, len(faces), shapes.get(name))
    return outputs


def _check(name: str, output: Array, batch: int, shape: tuple[int, ...] | None) -> None:
    if output.ndim == 0 or len(output) != batch:
        rows = len(output) if output.ndim else "no"
        raise OutputError(f"gives {rows} rows of {name} for {batch} faces")
    finite = np.isfinite(output) if isinstance(output, np.ndarray) else output.isfinite()
    if not bool(finite.all()):
        raise OutputError(f"gives {name} with numbers that aren't finite")
    given = tuple(output.shape[1:])
    if shape is not None and given != shape:
        raise OutputError(f"gives {name} of {_size(given)}, not {_size(shape)}, for a face")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
