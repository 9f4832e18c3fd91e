import io
import json
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from registry.graphs import graph
from registry.graphs.graph import GraphError
from tests.registry.conftest import Tiny

Records = dict[str, bytes]


class Touch:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def exported(tiny: Tiny, tmp_path: Path) -> Path:
    shapes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(tiny.eval(), (torch.rand(2, 3, 32, 32),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "tiny.pt2")
    return tmp_path / "tiny.pt2"


@pytest.fixture
def touched(tmp_path: Path) -> Path:
    return tmp_path / "touched"


def rewrite(path: Path, change: Callable[[Records], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].partition("/")[0]
        records = {name.removeprefix(f"{root}/"): archive.read(name) for name in archive.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"{root}/{name}", content)


def saved(thing: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def pickled_inputs(records: Records, harm: object) -> None:
    records["data/sample_inputs/model.pt"] = saved(((harm,), {}))


def pickled_weight(records: Records, harm: object) -> None:
    name = "data/weights/model_weights_config.json"
    config = json.loads(records[name])
    entry = next(iter(config["config"].values()))
    entry["use_pickle"] = True
    records[f"data/weights/{entry['path_name']}"] = saved(harm)
    records[name] = json.dumps(config).encode()


def pickled_constant(records: Records, harm: object) -> None:
    name = "data/constants/model_constants_config.json"
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    records[name] = json.dumps({"config": {"harm": entry | {"tensor_meta": None}}}).encode()
    import pickle

    records["data/constants/opaque_obj_0"] = pickle.dumps(harm)


def legacy_weights(records: Records, harm: object) -> None:
    records["data/weights/model.pt"] = saved({"harm": harm})


def evaluated_shape(records: Records, harm: object) -> None:
    assert isinstance(harm, Touch)
    graph_json = records["models/model.json"].decode()
    shape = next(word for word in graph_json.split('"') if word.startswith("Symbol("))
    code = f"__import__('pathlib').Path('{harm.path}').touch()"
    records["models/model.json"] = graph_json.replace(shape, code).encode()


@pytest.mark.parametrize(
    "poison", [pickled_inputs, pickled_weight, pickled_constant, legacy_weights, evaluated_shape]
)
def test_a_graph_that_could_run_code_is_refused_before_it_does(
    exported: Path, touched: Path, poison: Callable[[Records, object], None]
) -> None:
    rewrite(exported, lambda records: poison(records, Touch(touched)))
    with pytest.raises(GraphError, match="could run code"):
        graph.load(exported, "cpu")
    assert not touched.exists()
    with suppress(Exception):
        torch.export.load(exported)
    assert touched.exists(), "torch itself would have run it"


@pytest.mark.parametrize(
    "target",
    [
        "torch.hub.load",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.relu.__call__",
        "torch.ops.higher_order.run_const_graph",
        "torch.ops.profiler._record_function_enter.default",
        "_operator.methodcaller",
        "#custom:run",
    ],
)
def test_an_operator_that_is_not_on_the_list_is_refused(exported: Path, target: str) -> None:
    def change(records: Records) -> None:
        text = records["models/model.json"].decode()
        assert "torch.ops.aten.relu.default" in text
        records["models/model.json"] = text.replace("torch.ops.aten.relu.default", target).encode()

    rewrite(exported, change)
    with pytest.raises(GraphError, match=re.escape(f"calls {target}, which is not on the list")):
        graph.load(exported, "cpu")


def test_an_operator_given_to_another_one_is_checked_too(exported: Path) -> None:
    def change(records: Records) -> None:
        content = json.loads(records["models/model.json"])
        node = content["graph_module"]["graph"]["nodes"][0]
        node["inputs"][0]["arg"] = {"as_operator": "torch.hub.load"}
        records["models/model.json"] = json.dumps(content).encode()

    rewrite(exported, change)
    with pytest.raises(GraphError, match=r"calls torch\.hub\.load, which"):
        graph.load(exported, "cpu")


class AddsZeros(nn.Module):
    def forward(self, faces: Tensor) -> Tensor:
        return faces + torch.zeros(4)


class DrawsRandomly(nn.Module):
    def forward(self, faces: Tensor) -> Tensor:
        return torch.bernoulli(faces)


def export(network: nn.Module, folder: Path) -> Path:
    torch.export.save(torch.export.export(network, (torch.ones(2, 4),)), folder / "model.pt2")
    return folder / "model.pt2"


def test_a_graph_that_reads_a_file_is_refused(tmp_path: Path) -> None:
    secret = np.array([1, 2, 3, 4], np.float32)
    (tmp_path / "secret").write_bytes(secret.tobytes())

    def read_file_instead_of_zeros(records: Records) -> None:
        content = json.loads(records["models/model.json"])
        (node,) = (
            node
            for node in content["graph_module"]["graph"]["nodes"]
            if node["target"] == "torch.ops.aten.zeros.default"
        )
        node["target"] = "torch.ops.aten.from_file.default"
        given = {"filename": {"as_string": str(tmp_path / "secret")}, "size": {"as_int": 4}}
        options = [each for each in node["inputs"] if each["name"] != "size"]
        node["inputs"] = [{"name": key, "arg": arg, "kind": 2} for key, arg in given.items()]
        node["inputs"] += options
        records["models/model.json"] = json.dumps(content).encode()

    file = export(AddsZeros(), tmp_path)
    rewrite(file, read_file_instead_of_zeros)
    read = torch.export.load(file).module()(torch.zeros(2, 4))
    assert read[0].tolist() == secret.tolist(), "torch itself would have read it"
    with pytest.raises(GraphError, match=r"calls torch\.ops\.aten\.from_file\.default, which"):
        graph.load(file, "cpu")


def test_a_graph_that_draws_random_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"calls torch\.ops\.aten\.bernoulli\.default, which"):
        graph.load(export(DrawsRandomly(), tmp_path), "cpu")


def test_a_compiled_library_is_refused(exported: Path) -> None:
    def change(records: Records) -> None:
        records["data/aotinductor/model/x.so"] = b"\x7fELF"

    rewrite(exported, change)
    with pytest.raises(GraphError, match=r"x\.so"):
        graph.load(exported, "cpu")


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, touched: Path) -> None:
    pickled = tmp_path / "model.pt2"
    with pytest.raises(GraphError, match=r"no exported graph model\.pt2"):
        graph.load(pickled, "cpu")
    pickled.write_bytes(b"no zip")
    with pytest.raises(GraphError, match="broken or no exported graph"):
        graph.load(pickled, "cpu")
    torch.save(Touch(touched), pickled)
    with pytest.raises(GraphError, match="could run code"):
        graph.load(pickled, "cpu")
    assert not touched.exists()


def test_an_unchanged_copy_still_loads(exported: Path, tiny: Tiny) -> None:
    rewrite(exported, lambda _: None)
    given = torch.rand(5, 3, 32, 32)
    found = graph.load(exported, "cpu")(given)
    torch.testing.assert_close(found["identity"], tiny.eval()(given)["identity"])


def test_a_graph_moves_with_its_constants(exported: Path) -> None:
    module = graph.load(exported, "meta")
    assert {value.device.type for value in module.state_dict().values()} == {"meta"}
    found = module(torch.rand(3, 3, 32, 32, device="meta"))
    assert found["expression"].shape == (3, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_computes_on_cuda_what_it_does_on_the_cpu(exported: Path) -> None:
    given = torch.rand(7, 3, 32, 32)
    wanted = graph.load(exported, "cpu")(given)["expression"]
    found = graph.load(exported, "cuda")(given.cuda())["expression"].cpu()
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
