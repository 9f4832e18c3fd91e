"""What computes a version's graphs: chosen when it is loaded, by device and by measurement."""

import logging
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from registry.errors import BadEngine, GraphError
from registry.graphs import file_names, onnx_graph

logger = logging.getLogger(__name__)

VARIABLE = "EXPRESSION_STUDIO_ENGINE"
"""The environment variable that names an engine."""
ONNX_RUNTIME, TORCH, CUDA_GRAPHS = onnx_graph.ENGINE, "torch", "cuda-graphs"
ENGINES = (ONNX_RUNTIME, TORCH, CUDA_GRAPHS)
TOLERANCE = 2e-3
"""How much outputs may differ on a GPU, where each engine chooses its own algorithms."""
CALLS, FIRST_CALLS = 5, 2
"""Calls that are timed, after some that are not."""


@runtime_checkable
class Graph(Protocol):
    """A graph in memory; threads may share it."""

    engine: str
    """What computes it: one of ENGINES."""
    device: str
    """Where: cuda, mps or cpu."""

    def __call__(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for float32 arrays on the CPU, float32 on the CPU, by name."""


Candidates = Mapping[str, Callable[[], Graph]]
"""Loads the graph, by the name of an engine."""


def load(
    graph: Path, onnx: Path, device: str, example: Sequence[np.ndarray], forced: str | None
) -> Graph:
    """Load a graph by the engine that is asked for, else by the fastest.

    On a CPU this is ONNX Runtime, and nothing is measured: to load the exported graph for a
    comparison would take far longer than the answers that it could save.

    Args:
        graph: torch.export's file.
        onnx: the same as ONNX; older versions have none.
        device: cuda, mps or cpu.
        example: inputs for one face.
        forced: the engine that was asked for, one of ENGINES.

    Raises:
        BadEngine: the engine can't compute this version here.
        GraphError: a file is missing, is no exported graph, or could run code or read files.
    """
    possible = _candidates(graph, onnx, device, example)
    if forced:
        if forced not in possible:
            raise BadEngine(
                f"The engine {forced} can't compute this version on {device}: {VARIABLE} may be "
                f"{', '.join(possible)} here, or not set."
            )
        return possible[forced]()
    if device != "cpu":
        return fastest(possible, example)
    return next(iter(possible.values()))()


def asked_for(engine: str | None = None) -> str | None:
    """Return the engine that was asked for: `engine`, or what EXPRESSION_STUDIO_ENGINE names.

    Raises:
        BadEngine: there is no such engine.
    """
    chosen = engine or os.environ.get(VARIABLE) or None
    if chosen and chosen not in ENGINES:
        raise BadEngine(f"There is no engine {chosen}: {VARIABLE} may be {', '.join(ENGINES)}.")
    return chosen


def files(engine: str) -> tuple[str, str]:
    """Return the names of the graphs that an engine computes: the network's and the encoder's."""
    if engine == ONNX_RUNTIME:
        return file_names.ONNX_GRAPH, file_names.ONNX_ENCODER
    return file_names.GRAPH, file_names.ENCODER


def fastest(candidates: Candidates, example: Sequence[np.ndarray]) -> Graph:
    """Load all candidates and return the one that is fastest for one face.

    One that fails, or whose outputs differ from those of TORCH by more than TOLERANCE, is left out.
    """
    reference = candidates[TORCH]()
    expected, loaded = reference(*example), [reference]
    for name, build in candidates.items():
        if name == TORCH:
            continue
        try:
            graph = build()
            require_equal(graph(*example), expected, TOLERANCE)
        except Exception:
            logger.exception("The engine %s is left out.", name)
        else:
            loaded.append(graph)
    return min(loaded, key=lambda graph: seconds(graph, example))


def seconds(graph: Graph, example: Sequence[np.ndarray]) -> float:
    """Return the seconds that a call takes, the median of a few."""
    for _ in range(FIRST_CALLS):
        graph(*example)
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        graph(*example)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def require_equal(
    outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float
) -> None:
    """Check that outputs are the expected ones.

    Raises:
        GraphError: a name is missing, or a shape or a number differs; as the end of a sentence.
    """
    if set(outputs) != set(expected):
        raise GraphError(f"its outputs are {', '.join(outputs)}, not {', '.join(expected)}")
    for name, value in expected.items():
        if outputs[name].shape != value.shape:
            raise GraphError(f"{name} is {outputs[name].shape}, not {value.shape}")
        largest = float(np.abs(outputs[name] - value).max())
        if not largest <= tolerance:
            raise GraphError(f"{name} differs by {largest:.2g} at batch {len(value)}")


def _candidates(graph: Path, onnx: Path, device: str, example: Sequence[np.ndarray]) -> Candidates:
    """Return the engines for a version on a device, the preferred one first."""
    found: dict[str, Callable[[], Graph]] = {}
    if onnx.is_file() and device in ("cpu", "cuda") and onnx_graph.is_available(device):
        found[ONNX_RUNTIME] = lambda: onnx_graph.load(onnx, device)
    found[TORCH] = partial(_torch, graph, device)
    if device == "cuda":
        found[CUDA_GRAPHS] = partial(_cuda_graphs, graph, device, example)
    return found


def _torch(path: Path, device: str) -> Graph:
    from registry.graphs import graph, torch_graph

    return torch_graph.TorchGraph(graph.load(path, device), device)


def _cuda_graphs(path: Path, device: str, example: Sequence[np.ndarray]) -> Graph:
    from registry.graphs import cuda_graphs, graph

    return cuda_graphs.CudaGraphs(graph.load(path, device), device, example)
