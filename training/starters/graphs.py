"""The ONNX graphs of the starters as they are shipped: without weights, which are filled in."""

from pathlib import Path

import onnx
from onnx import numpy_helper

from registry.graphs import onnx_export
from registry.graphs.export_parts import ExportPart, plain_math
from training.starters import files

SIZE_LIMIT = 1_000_000
"""Largest size of a graph without weights, in bytes."""


def write(name: str, part: ExportPart) -> Path:
    """Export a network of starter `name` without its weights; return the path of the file.

    Raises:
        ValueError: the file is too large.
    """
    with plain_math():
        model = onnx_export.export(part)
    weights = part.network.state_dict()
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.ClearField("raw_data")
    content = model.SerializeToString(deterministic=True)
    if len(content) > SIZE_LIMIT:
        raise ValueError(
            f"The graph of the {part.name} of {name} takes {len(content) / 1e6:.1f} MB without "
            f"weights; it may take {SIZE_LIMIT / 1e6:g} MB."
        )
    path = _path(name, part)
    path.write_bytes(content)
    return path


def filled(name: str, part: ExportPart) -> onnx.ModelProto:
    """Return the shipped graph of a network of starter `name`, with the network's weights.

    Raises:
        FileNotFoundError: it isn't shipped.
    """
    model = onnx.load_model_from_string(_path(name, part).read_bytes())
    weights = part.network.state_dict()
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            value = weights[tensor.name].numpy()
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return model


def _path(name: str, part: ExportPart) -> Path:
    return files.FOLDER / f"{name}.{part.name}.onnx"
