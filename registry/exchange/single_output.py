"""ONNX graphs of a version -> one graph with one tensor in and one out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.entries import VersionMetadata

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FACES = "faces"
"""The name of the one input."""
GENERATOR, ENCODER = "generator/", "encoder/"
"""How the names in the parts of a generator's graph begin."""


@dataclass(frozen=True, kw_only=True)
class SingleOutput:
    """A graph with one tensor in and one out, batch first, and what they are."""

    model: "ModelProto"
    output: str
    """Name of the output."""
    input_shape: tuple[int, ...]
    """Shape of the input for one item: a face, or for a generator a pair of faces."""
    output_shape: tuple[int, ...]


def build(
    metadata: VersionMetadata, network: "ModelProto", encoder: "ModelProto | None" = None
) -> SingleOutput:
    """Return the graph that serves one answer of a version.

    An embedding gives `expression`, a classifier `probabilities`, the softmax of its logits. A
    generator takes pairs of faces, batch 2 3 h w: first whom to draw, then whose expression to
    take; it gives `picture`, the first with the expression of the second at strength 1.

    Args:
        metadata: of the version.
        network: its network or generator.
        encoder: of a generator.
    """
    side = metadata.crop.size_px
    face = (3, side, side)
    if encoder is not None:
        model = _transfer(network, encoder)
        return SingleOutput(
            model=model, output="picture", input_shape=(2, *face), output_shape=face
        )
    model = _copy(network)
    output = _append_softmax(model) if "logits" in metadata.outputs else "expression"
    kept = [value for value in model.graph.output if value.name == output]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    dims = kept[0].type.tensor_type.shape.dim[1:]
    shape = tuple(dim.dim_value for dim in dims)
    return SingleOutput(model=model, output=output, input_shape=face, output_shape=shape)


def _append_softmax(model: "ModelProto") -> str:
    from onnx import helper

    name = "probabilities"
    (logits,) = [value for value in model.graph.output if value.name == "logits"]
    model.graph.node.append(helper.make_node("Softmax", ["logits"], [name], axis=1))
    added = model.graph.output.add()
    added.CopyFrom(logits)
    added.name = name
    return name


def _transfer(generator: "ModelProto", encoder: "ModelProto") -> "ModelProto":
    """Return the encoder on both faces of a pair, and the generator on the first, as one graph."""
    from onnx import TensorProto, compose, helper

    drawing = compose.add_prefix(generator, GENERATOR)
    encoding = compose.add_prefix(encoder, ENCODER)
    outputs = [value.name for value in encoding.graph.output]
    condition = f"{ENCODER}condition"
    condition = condition if condition in outputs else f"{ENCODER}expression"
    side = drawing.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
    (picture,) = [value for value in drawing.graph.output if value.name == f"{GENERATOR}picture"]
    picture.name = "picture"
    indices = [helper.make_tensor(name, TensorProto.INT64, [], [i]) for i, name in enumerate("ab")]
    graph = helper.make_graph(
        [
            *_split_pairs(),
            *encoding.graph.node,
            *_change(condition),
            *drawing.graph.node,
            helper.make_node("Identity", [f"{GENERATOR}picture"], ["picture"]),
        ],
        "transfer",
        [helper.make_tensor_value_info(FACES, TensorProto.FLOAT, ["batch", 2, 3, side, side])],
        [picture],
        [*indices, *encoding.graph.initializer, *drawing.graph.initializer],
    )
    return helper.make_model(
        graph, opset_imports=drawing.opset_import, ir_version=drawing.ir_version
    )


def _split_pairs() -> Sequence["NodeProto"]:
    """Return what makes the generator's faces, and the encoder's: all first ones, all second."""
    from onnx import helper

    return [
        helper.make_node("Gather", [FACES, "a"], [f"{GENERATOR}faces"], axis=1),
        helper.make_node("Gather", [FACES, "b"], ["driver"], axis=1),
        helper.make_node("Concat", [f"{GENERATOR}faces", "driver"], [f"{ENCODER}faces"], axis=0),
    ]


def _change(condition: str) -> Sequence["NodeProto"]:
    from onnx import helper

    halves = ["condition_first", "condition_second"]
    return [
        helper.make_node("Split", [condition], halves, axis=0, num_outputs=2),
        helper.make_node("Sub", halves[::-1], [f"{GENERATOR}change"]),
    ]


def _copy(model: "ModelProto") -> "ModelProto":
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    return copy
