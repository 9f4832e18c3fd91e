"""Exported graph on disk -> module in memory; no code in the file is run on the way."""

import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from registry.errors import GraphError
from registry.graphs.operators import is_allowed

RECORDS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)"
)
"""All that `torch.export.save` writes for a network of tensors."""
RAW_TENSOR = re.compile(r"(weight|tensor)_\d+")
OPERATOR_KEYS = {"target", "as_operator"}
"""Where a graph names what it calls, or passes an operator to another one."""
SHAPE_NAME = re.compile(
    r"[suzf]+\d+|Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv"
    r"|CleanDiv|IntTrueDiv|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan"
    r"|GreaterThan|And|Or|Not|true|false|True|False|integer|positive|nonnegative|precision"
)
"""Names a shape's expression may hold: sympy evaluates the expression as Python."""


exporting = threading.RLock()
"""Held while a graph is exported or read: torch.export has global state for both, which
a page that loads one version while another is registered would mix up."""


def load(path: Path, device: str) -> nn.Module:
    """Return the graph in a .pt2 file as a module on `device`.

    Raises:
        GraphError: the file is missing, is no exported graph, or could run code.
    """
    inspect(path)
    try:
        with exporting:
            program = torch.export.load(path)
            if device != "cpu":
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, device)
            return program.module()
    except Exception as error:
        raise GraphError(
            f"torch {torch.__version__} can't read its graph or move it to {device} "
            f"({type(error).__name__})"
        ) from error


def inspect(path: Path) -> None:
    """Check a .pt2 file before torch loads it, which would unpickle whatever it holds.

    Raises:
        GraphError: it holds more than tensors and a graph of operators that only compute.
    """
    if not path.is_file():
        raise GraphError(f"it has no exported graph {path.name}")
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        names = reader.get_all_records()
        records = {name: reader.get_record(name) for name in names if not RAW_TENSOR.search(name)}
        fault = next(_faults(names, records), "")
    except Exception as error:
        raise GraphError(f"{path.name} is broken or no exported graph") from error
    if fault:
        raise GraphError(f"{path.name} {fault}")


def _harmful(part: str) -> str:
    return f"holds {part}, which could run code when it is loaded"


def _faults(names: list[str], records: dict[str, bytes]) -> Iterator[str]:
    """Yield what is wrong with the records of a file, as the end of a sentence."""
    yield from (_harmful(name) for name in names if not RECORDS.fullmatch(name))
    yield from (_harmful(name) for name in set(names) if names.count(name) > 1)
    for name, content in records.items():
        if name.endswith("_config.json"):
            yield from _pickled_tensors(name, content)
        elif name.startswith("models/"):
            yield from _forbidden_code(json.loads(content))
        elif name.endswith(".pt") and not _only_weights(content):
            yield _harmful(name)


def _pickled_tensors(name: str, content: bytes) -> Iterator[str]:
    for entry in json.loads(content)["config"].values():
        if entry["use_pickle"] is not False or not RAW_TENSOR.fullmatch(entry["path_name"]):
            yield _harmful(f"{entry['path_name']} in {name}")


def _only_weights(content: bytes) -> bool:
    """Return whether torch's restricted unpickler accepts these bytes."""
    try:
        with torch.serialization.safe_globals([]):
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:
        return False
    return True


def _forbidden_code(part: object) -> Iterator[str]:
    """Yield the operators of a graph that aren't allowed, and expressions that are no shapes."""
    if isinstance(part, list):
        for item in part:
            yield from _forbidden_code(item)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key in OPERATOR_KEYS and isinstance(value, str) and not is_allowed(value):
            yield f"calls {value[:60]}, which is not on the list of operators that only compute"
        elif key == "expr_str" and not _is_shape(value):
            yield _harmful(f"the expression {str(value)[:60]}")
        else:
            yield from _forbidden_code(value)


def _is_shape(expression: object) -> bool:
    if not isinstance(expression, str) or not re.fullmatch(r"[\w\s()'+*/%,.<>=!&|~-]*", expression):
        return False
    return all(SHAPE_NAME.fullmatch(word) for word in re.findall(r"[A-Za-z_]\w*", expression))
