"""A version loaded into memory: one graph, or a generator and its encoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from registry.entries import Version
from registry.errors import BadVersion, app_command
from registry.graphs import digests, engines, file_names
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


def engine_for(version: Version, device: str, engine: str | None) -> str | None:
    """Return the engine that was asked for, by name or by environment; None: choose one.

    Raises:
        BadEngine: there is no such engine.
        BadVersion: what this device or engine needs is not exported yet.
    """
    asked = engines.asked_for(engine)
    if device != "cpu" or asked not in (None, engines.ONNX_RUNTIME):
        require_pt2(version)
    return asked


def require_pt2(version: Version) -> None:
    """Raise BadVersion where the graph for PyTorch of a starter isn't stored yet."""
    if version.without_pt2:
        raise BadVersion(
            f"{version.title} has no graph for PyTorch yet: it is being exported, which takes "
            f"about a minute; `{app_command()} seed` does it if that was stopped."
        )


def load(version: Version, folder: Path, device: str, engine: str | None) -> ProductionModel:
    """Load the graphs in the folder of a version.

    Args:
        version: the version.
        folder: its files.
        device: cuda, mps or cpu.
        engine: as `engine_for` returned it.

    Raises:
        BadEngine: the engine can't compute this version on this device.
        GraphError: a graph is missing or broken, was changed since, or could do more than compute.
    """
    side = version.crop.size_px
    face = np.zeros((1, 3, side, side), np.float32)
    change = np.zeros((1, version.condition), np.float32)
    example = [face, change] if version.encoder else [face]
    graph, onnx = folder / file_names.GRAPH, folder / file_names.ONNX_GRAPH
    network, encoder = engines.load(graph, onnx, device, example, engine), None
    if version.encoder:
        graph, onnx = folder / file_names.ENCODER, folder / file_names.ONNX_ENCODER
        encoder = engines.load(graph, onnx, device, [face], engine)
    loaded = {each.engine for each in (network, encoder) if each}
    digests.check(folder, version.digests, [file for e in loaded for file in engines.files(e)])
    return ProductionModel(version, network, encoder)


def _compute(graph: Graph, *inputs: Any) -> dict[str, Any]:
    """Return a graph's outputs as the kind of array that went in."""
    if all(isinstance(each, np.ndarray) for each in inputs):
        return graph(*(np.ascontiguousarray(each, np.float32) for each in inputs))
    import torch

    with torch.inference_mode():
        tensors = [torch.as_tensor(each).detach().to("cpu", torch.float32) for each in inputs]
        outputs = graph(*(each.contiguous().numpy() for each in tensors))
        return {name: torch.from_numpy(value) for name, value in outputs.items()}
