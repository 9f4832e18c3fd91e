"""MobileFaceNet equals the published network, shipped and trainable copies included."""

import io
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from registry.onnx_runtime import onnx_runtime
from training.models.backbones import folded
from training.models.backbones.deviation import BackboneConfig, PairConfig
from training.models.backbones.mobilefacenet import MobileFaceNet, cut_input
from training.models.backbones.pretrained import start_identity
from training.starters import files
from training.summary import parameters


@pytest.fixture(scope="module")
def published(shared_data: Path) -> Path:
    return shared_data / "weights" / "mobilefacenet.onnx"


@pytest.fixture(scope="module")
def faces(shared_data: Path) -> Tensor:
    """Return 100 pictures of faces, as crops of 128 px."""
    with ZipFile(shared_data / "lfw_emotion.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:1000:10]
        pictures = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    crops = np.stack([np.asarray(each.resize((128, 128))) for each in pictures])
    return torch.from_numpy(crops).permute(0, 3, 1, 2) / 255


def network(state: dict[str, Tensor]) -> MobileFaceNet:
    built = MobileFaceNet().eval()
    built.load_state_dict(state)
    return built


def vectors(module: nn.Module, faces: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = module(faces)
    return found


def test_it_equals_the_published_graph(published: Path, faces: Tensor) -> None:
    ours = network(folded.read(published))
    session = onnx_runtime().InferenceSession(published.read_bytes())
    inputs = (cut_input(faces[:20]) - ours.mean) / ours.std
    theirs = np.concatenate([session.run(None, {"input0": x[None].numpy()})[0] for x in inputs])
    with torch.inference_mode():
        before_scaling = ours.project(ours.taps(faces[:20])[-1]).flatten(1)
    np.testing.assert_allclose(before_scaling.numpy(), theirs, atol=1e-4)


def test_the_shipped_copy_keeps_the_vectors(published: Path, faces: Tensor) -> None:
    shipped = network(files.Starter.open(files.MOBILEFACENET).weights())
    exact = network(folded.read(published))
    cosines = (vectors(shipped, faces) * vectors(exact, faces)).sum(1)
    assert cosines.min() >= 0.999


def test_the_card_says_who_trained_it_on_what_and_that_it_recognises_people() -> None:
    starter = files.Starter.open(files.MOBILEFACENET)
    assert "MS-Celeb-1M" in starter.card["learned_from"]
    assert starter.card["licence"] == "Apache-2.0"
    test = {
        m.metric: m.value for m in starter.measurements if m.name.startswith("test/lfw-emotion")
    }
    assert test["verification_auc"] >= 0.96
    assert test["adversarial"] < 0.03


def test_statistics_change_no_output_and_let_it_be_trained() -> None:
    torch.manual_seed(0)
    merged = MobileFaceNet()
    for norm in (each for each in merged.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.bias.data.normal_(std=0.2)
        norm.running_var.fill_(1 - norm.eps)
    faces = torch.rand(32, 3, 128, 128)
    plain = merged.eval()
    trainable = network(folded.with_statistics(plain.state_dict(), faces))
    torch.testing.assert_close(vectors(trainable, faces), vectors(plain, faces), atol=1e-5, rtol=0)
    expected = vectors(plain, faces)
    assert ((vectors(trainable.train(), faces) * expected).sum(1) > 0.99).all()
    assert ((vectors(plain.train(), faces) * expected).sum(1) < 0.99).any()


def test_it_is_small_and_looks_at_the_upper_middle_of_the_crop() -> None:
    assert parameters(MobileFaceNet()) == 999_808
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    cut = cut_input(torch.stack([rows, columns, rows])[None])[0]
    assert (cut[0, 0, 0], cut[0, -1, 0]) == (0, 111)
    assert (cut[1, 0, 0], cut[1, 0, -1]) == (8, 119)
    assert cut_input(torch.rand(1, 3, 64, 64)).shape == (1, 3, 112, 112)


def test_both_branches_of_a_pair_begin_with_the_shipped_weights() -> None:
    backbone = BackboneConfig(name="mobilefacenet")
    pair = PairConfig(backbone=backbone).build().eval()
    start_identity(pair, backbone, None)
    deviation = pair(torch.rand(2, 3, 128, 128))
    assert deviation.difference.abs().max() == 0
    assert deviation.identity.norm(dim=1) == pytest.approx(torch.ones(2))


def test_another_network_in_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    torch.onnx.export(nn.Conv2d(3, 4, 3), (torch.rand(1, 3, 8, 8),), path, verbose=False)
    with pytest.raises(ValueError, match="isn't a MobileFaceNet"):
        folded.read(path)
