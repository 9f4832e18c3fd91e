"""Network -> ONNX graph, by way of torch.export."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from registry.graphs.export_parts import ExportPart
from registry.graphs.onnx_graph import INPUTS

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

SERVED = "served:"
"""Prefix of inputs and outputs during the export, so that none has the name of a weight."""
OPSET = 20
"""Version of the ONNX operators: the first with the sampling that `grid_sample` needs."""


def program(part: ExportPart) -> torch.export.ExportedProgram:
    """Return a frozen network as torch.export's program, with a free batch axis."""
    inputs = part.example_inputs(2)
    free = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
    return torch.export.export(part.network, inputs, dynamic_shapes=free)


def export(part: ExportPart) -> "ModelProto":
    """Return a frozen network as an ONNX model whose inputs and outputs have the names we serve.

    Weights have the names of the network's state_dict, but `logits.weight` where one has the name
    of the output `logits`. Nothing in it names a file of this machine.
    """
    exported = program(part)
    positions = torch.utils._pytree.tree_unflatten(
        range(len(exported.graph_signature.user_outputs)), exported.call_spec.out_spec
    )
    inputs, outputs = INPUTS[: 2 if part.condition else 1], sorted(positions, key=positions.get)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        converted = torch.onnx.export(
            exported,
            input_names=[f"{SERVED}{name}" for name in inputs],
            output_names=[f"{SERVED}{name}" for name in outputs],
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            external_data=False,
            verbose=False,
        )
    assert converted is not None
    model = converted.model_proto
    _strip(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    served = (*inputs, *outputs)
    clashing = {name: f"{name}.weight" for name in served if name in weights}
    _rename(model.graph, {f"{SERVED}{name}": name for name in served} | clashing)
    return model


def _rename(graph: "GraphProto", names: Mapping[str, str]) -> None:
    """Give values other names, all at once, also in the graphs within a graph."""
    for value in (*graph.initializer, *graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, names)


def optimized(model: "ModelProto") -> "ModelProto":
    """Return a model that computes the same in fewer steps.

    What depends on weights alone is computed now, and normalisations become part of the
    convolutions before them: ONNX Runtime, which does the same, does not recognise them as the
    exporter writes them. Weights lose the names of the network's state_dict.
    """
    from onnxscript import optimizer

    smaller: ModelProto = optimizer.optimize(model)
    _strip(smaller)
    return smaller


def _strip(model: "ModelProto") -> None:
    """Remove what the exporter notes about the Python code, which takes more than the graph."""
    for thing in (model, model.graph):
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")
    _strip_graph(model.graph)


def _strip_graph(graph: "GraphProto") -> None:
    graph.ClearField("value_info")
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*graph.input, *graph.output):
        value.ClearField("metadata_props")
