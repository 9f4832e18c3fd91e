"""An .onnx file is checked before ONNX Runtime gets it, and computes what the network does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from registry import store, versions
from registry.errors import BadVersion, GraphError
from registry.graphs import onnx_export, onnx_graph
from registry.graphs.export_parts import ExportPart
from registry.graphs.file_names import GRAPH, ONNX_GRAPH
from tests.registry.conftest import Register, Tiny
from tests.registry.test_versions import folder_of

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    torch.manual_seed(0)
    network = Tiny().eval().requires_grad_(False)
    outputs = {"expression": "", "identity": ""}
    part = ExportPart(name="network", network=network, outputs=outputs, size_px=32)
    return onnx_export.export(part)


def written(model: onnx.ModelProto, folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def test_a_graph_has_the_served_names_a_free_batch_axis_and_no_path_of_this_machine(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    graph = onnx_graph.load(written(model, tmp_path))
    assert graph.inputs == ("faces",)
    assert graph.outputs == ("expression", "identity")
    assert [each.version for each in model.opset_import] == [onnx_export.OPSET]
    for batch in (1, 2, 7):
        outputs = graph(np.zeros((batch, 3, 32, 32), np.float32))
        assert outputs["expression"].shape == (batch, 4)
        assert outputs["identity"].dtype == np.float32
    assert b".py" not in model.SerializeToString()


class Constant(nn.Module):
    """Its weights have the names of its input and its output."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("logits", torch.arange(3.0))
        self.faces = nn.Parameter(torch.ones(()))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {"logits": faces.mean((1, 2, 3))[:, None] * self.faces + self.logits}


def test_weights_may_have_the_names_of_inputs_and_outputs(tmp_path: Path) -> None:
    network = Constant().eval().requires_grad_(False)
    part = ExportPart(name="network", network=network, outputs={"logits": ""}, size_px=32)
    exported = onnx_export.optimized(onnx_export.export(part))
    graph = onnx_graph.load(written(exported, tmp_path))
    assert (graph.inputs, graph.outputs) == (("faces",), ("logits",))
    found = graph(np.ones((5, 3, 32, 32), np.float32))["logits"]
    np.testing.assert_allclose(found, [[1, 2, 3]] * 5, rtol=1e-5)


def external_weight(model: onnx.ModelProto) -> None:
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../../secret")
    model.graph.initializer[0].ClearField("raw_data")


def external_constant(model: onnx.ModelProto) -> None:
    tensor = onnx.TensorProto(name="hidden", data_type=1, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    node = model.graph.node.add(op_type="Constant", output=["hidden"])
    attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.CopyFrom(tensor)


def external_in_a_branch(model: onnx.ModelProto) -> None:
    branch = onnx.GraphProto(name="branch")
    branch.initializer.add(name="hidden", data_type=1, dims=[1], data_location=1)
    node = model.graph.node.add(op_type="If", input=["faces"], output=["out"])
    attribute = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
    attribute.g.CopyFrom(branch)


def foreign_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].domain = "com.microsoft"


def foreign_import(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="evil", version=1)


def function(model: onnx.ModelProto) -> None:
    model.functions.add(name="run", domain="")


def random_operator(model: onnx.ModelProto) -> None:
    model.graph.node.add(op_type="RandomNormal", output=["noise"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (external_weight, "from another file"),
        (external_constant, "takes hidden from another file"),
        (external_in_a_branch, "takes hidden from another file"),
        (foreign_operator, r"calls com\.microsoft\.\w+, which is not"),
        (foreign_import, "uses operators of evil"),
        (function, "defines functions"),
        (random_operator, "calls RandomNormal"),
    ],
)
def test_a_graph_that_does_more_than_compute_is_refused(
    model: onnx.ModelProto, tmp_path: Path, change: Change, reason: str
) -> None:
    lying = onnx.ModelProto()
    lying.CopyFrom(model)
    change(lying)
    with pytest.raises(GraphError, match=reason):
        onnx_graph.load(written(lying, tmp_path))


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x0a"])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(GraphError, match=r"no exported graph model\.onnx"):
        onnx_graph.load(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(GraphError, match="broken or no ONNX graph"):
        onnx_graph.load(tmp_path / "model.onnx")


def test_a_graph_of_other_inputs_or_of_operators_nobody_knows_is_refused(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    renamed, unknown = onnx.ModelProto(), onnx.ModelProto()
    renamed.CopyFrom(model)
    renamed.graph.input[0].name = "secrets"
    for node in renamed.graph.node:
        node.input[:] = ["secrets" if name == "faces" else name for name in node.input]
    with pytest.raises(GraphError, match="takes secrets, not faces"):
        onnx_graph.load(written(renamed, tmp_path))
    unknown.CopyFrom(model)
    unknown.graph.node[-1].op_type = "Nonsense"
    with pytest.raises(GraphError, match=r"ONNX Runtime can't read model\.onnx"):
        onnx_graph.load(written(unknown, tmp_path))


def test_a_version_whose_onnx_graph_computes_something_else_is_not_registered(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = onnx_export.export

    def shifted(part: ExportPart) -> onnx.ModelProto:
        model = export(part)
        bias = next(each for each in model.graph.initializer if each.name.endswith("linear.bias"))
        values = onnx.numpy_helper.to_array(bias) + 1
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        return model

    monkeypatch.setattr(onnx_export, "export", shifted)
    with pytest.raises(BadVersion, match="expression differs by"):
        register()
    assert versions.list_versions() == []


def test_arrays_and_tensors_are_answered_alike_by_both_engines(register: Register) -> None:
    version, faces = register(), torch.rand(3, 3, 32, 32)
    answers = []
    for engine in ("onnxruntime", "torch"):
        model = versions.load(version, "cpu", engine)
        assert (model.engine, model.device) == (engine, "cpu")
        tensors, arrays = model(faces.double()), model(faces.numpy())
        assert all(isinstance(value, torch.Tensor) for value in tensors.values())
        assert all(value.dtype == np.float32 for value in arrays.values())
        for name, value in arrays.items():
            np.testing.assert_array_equal(tensors[name].numpy(), value)
        answers.append(arrays)
    for name, value in answers[0].items():
        np.testing.assert_allclose(value, answers[1][name], atol=1e-4)


def test_an_old_version_without_onnx_answers_by_its_exported_graph(register: Register) -> None:
    version, faces = register(), np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    wanted = versions.load(version, "cpu")(faces)["expression"]
    (folder_of(version) / ONNX_GRAPH).unlink()
    old = versions.load(version, "cpu")
    assert old.engine == "torch"
    np.testing.assert_allclose(old(faces)["expression"], wanted, atol=1e-4)
    (folder_of(version) / GRAPH).unlink()
    with pytest.raises(BadVersion, match=r"no exported graph model\.pt2"):
        versions.load(version, "cpu")


ASK = """
import sys
import numpy as np
from registry import devices, versions
devices.may_have_gpu = lambda: False
model = versions.load("dln/1")
assert model(np.zeros((2, 3, 32, 32), np.float32))["expression"].shape == (2, 4)
heavy = {"torch", "mlflow", "onnxscript", "pandas"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_version_is_loaded_and_asked_without_importing_pytorch_or_mlflow(
    register: Register,
) -> None:
    register()
    subprocess.run([sys.executable, "-c", ASK], check=True, cwd=store.PROJECT)
