"""ONNX graph on disk -> ONNX Runtime session in memory; nothing here imports PyTorch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from registry import devices
from registry.errors import GraphError, first_line
from registry.onnx_runtime import ERRORS_ONLY, onnx_runtime

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

ENGINE = "onnxruntime"
INPUTS = ("faces", "change")
"""Names of what goes in: the second only where a generator takes it."""
STANDARD = ("", "ai.onnx")
"""Names of the operators that the ONNX standard defines."""
RANDOM = ("Normal", "NormalLike", "Uniform", "UniformLike")
REFUSED = {"Bernoulli", "Loop", "Multinomial", "Scan", "SequenceMap"} | {
    f"Random{name}" for name in RANDOM
}
"""Operators that draw random numbers, or may not end."""
SPIN_US = 1000
"""How long threads spin for the next part of a network before they sleep. Without a limit they take
their cores from others for 50 ms after each answer; without spinning a single answer on two idle
cores takes 12 instead of 7 ms (dln, emotion), and no less on busy ones."""


class OnnxGraph:
    """A graph that ONNX Runtime computes; threads may share it.

    Args:
        content: the bytes of an .onnx file that was inspected.
        device: cpu or cuda.
    """

    engine = ENGINE

    def __init__(self, content: bytes, device: str = "cpu") -> None:
        self.device = device
        self._session = onnx_runtime().InferenceSession(
            content, _session_options(), providers=_providers(device)
        )
        if self._session.get_providers()[0] != _providers(device)[0]:  # what it needs is missing
            raise RuntimeError(f"it has no {_providers(device)[0]} here")
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self.outputs = tuple(each.name for each in self._session.get_outputs())

    def __call__(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs, float32, by name.

        Args:
            inputs: faces, batch 3 h w in [0, 1], and maybe a change, batch numbers; float32.
        """
        values = self._session.run(None, dict(zip(self.inputs, inputs, strict=True)))
        return dict(zip(self.outputs, values, strict=True))


def load(path: Path, device: str = "cpu") -> OnnxGraph:
    """Return the graph in an .onnx file as a session of ONNX Runtime.

    Raises:
        GraphError: the file is missing, is no graph of faces, or could read other files.
    """
    if not path.is_file():
        raise GraphError(f"it has no exported graph {path.name}")
    content = path.read_bytes()
    if fault := _fault(content):
        raise GraphError(f"{path.name} {fault}")
    try:
        graph = OnnxGraph(content, device)
    except Exception as error:
        raise GraphError(
            f"ONNX Runtime can't read {path.name} or move it to {device} ({first_line(error)})"
        ) from error
    if graph.inputs != INPUTS[: len(graph.inputs)] or not graph.inputs:
        raise GraphError(f"{path.name} takes {', '.join(graph.inputs) or 'nothing'}, not faces")
    return graph


def is_available(device: str) -> bool:
    """Return whether the installed ONNX Runtime computes on cpu or cuda."""
    return _providers(device)[0] in onnx_runtime().get_available_providers()


def _providers(device: str) -> list[str]:
    return {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider"]}[device]


def _session_options() -> object:
    """Return options that leave the cores to others as soon as nothing is asked."""
    options = onnx_runtime().SessionOptions()
    options.intra_op_num_threads = devices.threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def _fault(content: bytes) -> str:
    """Return what is wrong with the bytes of an .onnx file, as the end of a sentence, or ""."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        return "is broken or no ONNX graph"
    return next(_faults(model), "")


def _faults(model: "ModelProto") -> Iterator[str]:
    if not model.graph.node:
        yield "is broken or no ONNX graph"
    if model.functions or model.training_info:
        yield "defines functions or a training, which no version needs"
    for used in model.opset_import:
        if used.domain not in STANDARD:
            yield f"uses operators of {used.domain[:60]}, which are not those of the ONNX standard"
    yield from _faults_of_graph(model.graph)


def _faults_of_graph(graph: "GraphProto") -> Iterator[str]:
    sparse = [part for each in graph.sparse_initializer for part in (each.values, each.indices)]
    yield from _external([*graph.initializer, *sparse])
    for node in graph.node:
        if node.domain not in STANDARD or node.op_type in REFUSED:
            name = f"{node.domain}.{node.op_type}".lstrip(".")[:60]
            yield f"calls {name}, which is not an operator that only computes"
        for attribute in node.attribute:
            yield from _faults_of_attribute(attribute)


def _faults_of_attribute(attribute: "AttributeProto") -> Iterator[str]:
    sparse = [attribute.sparse_tensor, *attribute.sparse_tensors]
    parts = [part for each in sparse for part in (each.values, each.indices)]
    yield from _external([attribute.t, *attribute.tensors, *parts])
    for graph in (attribute.g, *attribute.graphs):
        yield from _faults_of_graph(graph)


def _external(tensors: Sequence["TensorProto"]) -> Iterator[str]:
    for tensor in tensors:
        if tensor.data_location or tensor.external_data:
            yield f"takes {tensor.name[:60] or 'a tensor'} from another file"
