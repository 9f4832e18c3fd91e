"""A starter answers with its ONNX graph first; what only PyTorch needs is added afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import mlflow.pytorch
import numpy as np
import onnx
import pytest
import torch

from registry import doctor, store, versions
from registry.catalog import CATALOG
from registry.errors import BadVersion
from registry.graphs import export_parts, onnx_graph
from registry.graphs.engines import require_equal
from tests.training.starters.conftest import COMPACT
from training import seed
from training.models.dln.network import DLN
from training.starters import files, graphs

pytestmark = pytest.mark.xdist_group("starters")
SEED = """
import os, signal, sys
from pathlib import Path
from registry.graphs import export
from training import seed
from training.starters import files

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(export, sys.argv[1], killed)
files.FOLDER, files.STARTERS = Path(sys.argv[2]), ("dln-compact",)
seed.seed()
"""


def test_a_starter_whose_completion_was_killed_answers_and_is_completed_by_the_next_seed(
    network: DLN, tmp_path: Path, fresh_store: Path
) -> None:
    assert fresh_store.is_dir()
    faces = torch.rand(2, 3, 48, 48)
    with torch.inference_mode():
        wanted = network(faces)["expression"].numpy()
    for killed_in in ("write_mlflow_model", "check_stored"):
        killed = subprocess.run(
            [sys.executable, "-c", SEED, killed_in, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": str(store.PROJECT)},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
    doctor.clean_killed()
    found = versions.load("dln@production", "cpu")(faces.numpy())["expression"]
    assert (found * wanted).sum(1).min() > 0.999, "the shipped weights are rounded"
    for load in (versions.load_module, lambda reference: versions.load(reference, "cuda")):
        with pytest.raises(BadVersion, match=r"no graph for PyTorch yet.*python app\.py seed"):
            load("dln@production")

    assert seed.seed() == []
    assert [version.number for version in versions.list_versions("dln")] == [1]
    version = versions.resolve("dln@production")
    assert not version.without_pt2
    with torch.inference_mode():
        for module in (
            versions.load_module(version, "cpu"),
            mlflow.pytorch.load_model("models:/dln/1"),
        ):
            np.testing.assert_allclose(module(faces)["expression"], found, atol=1e-4)
    client = store.connect()
    assert str(client.get_run(version.run_id).info.status) == "FINISHED"
    assert "sheet.png" in [each.path for each in client.list_artifacts(version.run_id)]
    assert doctor.leftovers() == []
    assert seed.seed() == []


@pytest.mark.parametrize("name", files.STARTERS)
def test_a_shipped_graph_filled_with_the_shipped_weights_computes_what_the_network_does(
    name: str,
) -> None:
    starter = files.Starter.open(name)
    network, encoder = seed.networks(starter)
    card = starter.card
    spec, size_px = CATALOG[card["model"]], card["crop"]["size_px"]
    for part in export_parts.freeze_parts(spec, network, encoder, size_px, card["labels"]):
        path = files.FOLDER / f"{name}.{part.name}.onnx"
        assert path.stat().st_size <= graphs.SIZE_LIMIT
        graph = onnx_graph.OnnxGraph(graphs.filled(name, part).SerializeToString())
        for batch in (1, 2, 7):
            inputs = part.example_inputs(batch)
            with torch.inference_mode():
                expected = {key: value.numpy() for key, value in part.network(*inputs).items()}
            require_equal(graph(*(each.numpy() for each in inputs)), expected, 1e-4)


def test_a_graph_that_is_too_large_without_weights_is_not_written(
    network: DLN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(network, DLN)
    path = tmp_path / "dln-compact.network.onnx"
    before = path.read_bytes()
    assert not any(tensor.raw_data for tensor in weights(path))
    monkeypatch.setattr(graphs, "SIZE_LIMIT", 1000)
    with pytest.raises(ValueError, match=r"0\.1 MB without weights; it may take 0\.001 MB"):
        seed.write_graphs(files.Starter.open("dln-compact"))
    assert path.read_bytes() == before


def weights(path: Path) -> list[onnx.TensorProto]:
    names = DLN(COMPACT).state_dict()
    model = onnx.load_model(path)
    return [tensor for tensor in model.graph.initializer if tensor.name in names]
