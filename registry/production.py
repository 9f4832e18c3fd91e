"""A version loaded into memory: one graph, or a generator and its encoder."""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from registry.entries import Version
from registry.errors import BadVersion
from registry.graphs.engines import Graph

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray, Tensor)
else:
    Array = TypeVar("Array")
"""Arrays of NumPy, for which PyTorch need not be imported, or tensors of PyTorch."""


class ProductionModel:
    """A version loaded into memory; threads may share it.

    It takes arrays or tensors, on any device and of any type of number, and returns the same kind,
    on the CPU and float32. No gradients flow through it.

    Args:
        version: the version that was loaded.
        network: its only graph, or its generator.
        encoder: the second graph of a version that has two; None for one graph.
    """

    def __init__(self, version: Version, network: Graph, encoder: Graph | None = None) -> None:
        self.version = version
        self._network = network
        self._encoder = encoder

    @property
    def device(self) -> str:
        """Where it computes: cuda, mps or cpu."""
        return self._network.device

    @property
    def engine(self) -> str:
        """What computes it, one of `registry.graphs.engines.ENGINES`."""
        return self._network.engine

    def __call__(self, faces: Array, change: Array | None = None) -> dict[str, Array]:
        """Return the outputs by name.

        Args:
            faces: RGB in [0, 1], batch 3 h w, cut to the version's crop.
            change: batch and the version's `condition`, for a version with two graphs and only for
                that: the driver's condition minus the source's, times the strength. Zeros leave
                the expression as it is.

        Raises:
            BadVersion: the faces are not cut to the version's crop, or the change is missing, not
                wanted or of another shape.
        """
        self._check_faces(faces)
        self._check_change(len(faces), change)
        return _compute(self._network, faces, *(() if change is None else (change,)))

    def encode(self, faces: Array) -> dict[str, Array]:
        """Return the encoder's outputs by name.

        One of them is `condition`: a change is the difference of two conditions.

        Args:
            faces: RGB in [0, 1], batch 3 h w, cut to the version's crop.

        Raises:
            BadVersion: the version has one graph, or the faces are not cut to its crop.
        """
        if self._encoder is None:
            raise BadVersion(f"{self.version.title} has no encoder: call it with the faces alone.")
        self._check_faces(faces)
        outputs = _compute(self._encoder, faces)
        return {"condition": outputs["expression"]} | outputs

    def _check_faces(self, faces: Array) -> None:
        size = self.version.crop.size_px
        if faces.shape[2:] != (size, size):
            raise BadVersion(
                f"{self.version.title} takes faces of {size} x {size} px, not "
                f"{faces.shape[3]} x {faces.shape[2]}: cut them to its crop."
            )

    def _check_change(self, faces: int, change: Array | None) -> None:
        if self._encoder is None and change is not None:
            raise BadVersion(f"{self.version.title} takes faces alone, no change of expression.")
        expected = (faces, self.version.condition)
        if self._encoder is not None and (change is None or change.shape != expected):
            given = "none" if change is None else " x ".join(map(str, change.shape)) or "a number"
            raise BadVersion(
                f"{self.version.title} takes a change of expression of {faces} x {expected[1]} "
                f"for {faces} faces, not {given}: subtract two conditions of its encoder."
            )


def _compute(graph: Graph, *inputs: Array) -> dict[str, Array]:
    """Return a graph's outputs as the kind of array that went in."""
    arrays = [each for each in inputs if isinstance(each, np.ndarray)]
    if len(arrays) == len(inputs):
        return graph(*(np.ascontiguousarray(each, np.float32) for each in arrays))
    import torch

    with torch.inference_mode():
        tensors = [torch.as_tensor(each).to("cpu", torch.float32) for each in inputs]
        outputs = graph(*(each.contiguous().numpy() for each in tensors))
        return {name: torch.from_numpy(value) for name, value in outputs.items()}
