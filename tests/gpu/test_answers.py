"""The GPU computes what the CPU computes, and a registered version answers on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.gpu.conftest import reason

if reason():
    pytest.skip(reason(), allow_module_level=True)

import torch
from torch import Tensor, nn

from registry.catalog import DLN as SPEC
from tests.gpu.trainings import COMPACT_DLN
from training.loading import jpeg
from training.loading.augmentation import Augmentation
from training.models.dln.network import DLN
from training.models.emotion.network import EmotionClassifier
from training.models.pix2pixhd.config import RECIPES as PIX2PIXHD
from training.models.pix2pixhd.generator import Generator
from training.models.triplets.sampling import Sampling

TOLERANCES = {"expression": 6e-5, "logits": 9e-4, "picture": 1.6e-3}
"""Largest differences that were measured on an H200."""


@pytest.fixture(autouse=True)
def whole_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)


def difference(network: nn.Module, name: str, *inputs: Tensor) -> float:
    network = network.eval()
    with torch.inference_mode():
        expected = network(*inputs)
        found = network.cuda()(*(each.cuda() for each in inputs))
    pick = (lambda out: out[name]) if isinstance(expected, dict) else (lambda out: out.picture)
    return float((pick(expected) - pick(found).cpu()).abs().max())


def test_a_dln_computes_on_the_gpu_what_it_computes_on_the_cpu() -> None:
    faces = torch.rand(16, 3, 64, 64)
    assert difference(DLN(COMPACT_DLN), "expression", faces) <= TOLERANCES["expression"]


def test_a_classifier_computes_on_the_gpu_what_it_computes_on_the_cpu() -> None:
    faces = torch.rand(16, 3, 64, 64)
    network = EmotionClassifier(COMPACT_DLN, 8)
    assert difference(network, "logits", faces) <= TOLERANCES["logits"]


def test_a_generator_computes_on_the_gpu_what_it_computes_on_the_cpu() -> None:
    network = Generator(PIX2PIXHD["pix2pixhd-compact"].network)
    faces, change = torch.rand(4, 3, 128, 128), torch.randn(4, network.config.dims) / 10
    assert difference(network, "picture", faces, change) <= TOLERANCES["picture"]


def test_jpeg_on_the_gpu_is_that_on_the_cpu() -> None:
    faces = torch.randint(256, (4, 3, 50, 50), dtype=torch.uint8)
    qualities = torch.tensor([20, 40, 60, 80])
    expected = jpeg.compressed(faces, qualities).int()
    found = jpeg.compressed(faces.cuda(), qualities.cuda()).cpu().int()
    assert float((found - expected).abs().float().mean()) < 0.05


def test_augmentation_and_sampling_stay_on_the_gpu() -> None:
    augmentation = Augmentation(jpeg=1.0, blur=1.0)
    faces = torch.randint(256, (8, 3, 64, 64), dtype=torch.uint8, device="cuda")
    shares = torch.eye(8, device="cuda").repeat(3, 1)
    single = torch.zeros(24, dtype=torch.bool, device="cuda")
    for guarded in (False, True):  # the first call copies constants
        torch.cuda.set_sync_debug_mode("error" if guarded else "default")
        try:
            changed = augmentation(faces)
            triplets = Sampling().draw(shares, single, seed=0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert changed.is_cuda
    assert changed.shape == faces.shape
    assert 0 < int(triplets.used.sum()) < len(triplets)


def test_an_exported_graph_answers_on_the_gpu(tmp_path: Path) -> None:
    network = DLN(COMPACT_DLN).eval()
    faces = torch.rand(2, 3, 64, 64)
    free = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(network, (faces,), dynamic_shapes=free)
    torch.export.save(program, tmp_path / "graph.pt2")
    loaded = torch.export.load(tmp_path / "graph.pt2").module().cuda()
    more = torch.rand(5, 3, 64, 64)
    with torch.inference_mode():
        expected, found = network(more)["expression"], loaded(more.cuda())["expression"]
    assert float((found.cpu() - expected).abs().max()) <= TOLERANCES["expression"]


def test_a_registered_version_answers_on_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("mlflow", "tenacity"):
        pytest.importorskip(package)
    from registry import store, versions

    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = store.connect(create=True).create_run(store.experiment(SPEC.name))
    crop = replace(SPEC.crop, size_px=64)
    version = versions.register(
        SPEC, DLN(COMPACT_DLN).eval(), crop=crop, run_id=run.info.run_id,
        config={"network": COMPACT_DLN}, description="Of random weights",
    )  # fmt: skip
    faces = torch.rand(3, 3, 64, 64)
    expected, found = (versions.load(version, device)(faces) for device in ("cpu", "cuda"))
    difference = (found["expression"] - expected["expression"]).abs().max()
    assert float(difference) <= TOLERANCES["expression"]
