"""A generator and its encoder in one version."""

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from registry import entries, store, versions
from registry.__main__ import main
from registry.catalog import PIX2PIXHD
from registry.crops import CropSpec
from registry.entries import VersionMetadata
from registry.errors import BadVersion
from registry.graphs import graph
from registry.promotion import promote
from tests.registry.conftest import Register
from tests.registry.transfer_networks import ConditionEncoder, Encoder, Generator

CROP = CropSpec(size_px=32, margin=0.4)
GRAPHS = ("data/model.pt2", "extra_files/encoder.pt2")
THRESHOLDS = {"nearer": 0.15, "same_person": 0.6}
RegisterTransfer = Callable[..., versions.Version]


@pytest.fixture
def transfer(fresh_store: Path) -> RegisterTransfer:
    """Register a generator and an encoder."""
    assert fresh_store.is_dir()

    def _transfer(network: nn.Module | None = None, **changes: Any) -> versions.Version:
        run = store.connect().create_run(store.experiment("pix2pixhd"))
        arguments: dict[str, Any] = {
            "crop": CROP,
            "run_id": run.info.run_id,
            "config": {"channels": 4},
            "description": "Draws.",
            "encoder": Encoder(),
            "thresholds": THRESHOLDS,
        }
        return versions.register(PIX2PIXHD, network or Generator(), **(arguments | changes))

    return _transfer


def folder_of(version: versions.Version) -> Path:
    with entries.files(version) as folder:
        return folder


@pytest.mark.parametrize(
    ("generator", "encoder"),
    [
        (Generator("transposed"), Encoder()),
        (Generator("resize"), Encoder()),
        (Generator(dims=24), ConditionEncoder()),
    ],
)
def test_both_graphs_of_a_loaded_version_compute_what_the_networks_did(
    transfer: RegisterTransfer, generator: Generator, encoder: Encoder
) -> None:
    version = transfer(copy.deepcopy(generator).train(), encoder=encoder)
    model = versions.load(version, "cpu")
    generator.eval()
    for batch in (1, 2, 7):
        faces = torch.rand(batch, 3, 32, 32)
        encoded = model.encode(faces)
        assert encoded["condition"].shape == (batch, version.condition)
        change = encoded["condition"].flip(0) - encoded["condition"] / 2
        generated = model(faces, change)
        with torch.no_grad():
            eager = encoder(faces)
            eager = {"condition": eager["expression"]} | eager
            pairs = [(encoded, eager), (generated, generator(faces, change))]
        assert (generated["picture"] - model(faces, -change)["picture"]).abs().max() > 1e-3
        for outputs, expected in pairs:
            assert list(outputs) == list(expected)
            for key, value in expected.items():
                torch.testing.assert_close(outputs[key], value, rtol=0, atol=1e-5)


def test_a_version_with_two_graphs_carries_all_its_user_has_to_know(
    transfer: RegisterTransfer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, encoder = Generator(), Encoder()
    version = transfer(generator, encoder=encoder)
    assert version == versions.resolve("pix2pixhd/1")
    assert version.thresholds == THRESHOLDS
    assert (version.outputs, version.encoder) == (PIX2PIXHD.outputs, PIX2PIXHD.encoder)
    weights = versions.weights("pix2pixhd/1")
    for prefix, network in (("generator.", generator), ("encoder.", encoder)):
        mine = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        assert mine.keys() == network.state_dict().keys()
        network.load_state_dict(mine)
    assert len(weights) == len(generator.state_dict()) + len(encoder.state_dict())
    card = (folder_of(version) / "extra_files" / "card.md").read_text()
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["show", "pix2pixhd/1"]) == 0
    shown = capsys.readouterr().out
    rows = {
        "Encoder expression": "batch 16, unit length",
        "Threshold nearer": "0.15",
        "Threshold same_person": "0.6",
    }
    for name, value in rows.items():
        assert f"| {name} | {value} |" in card
        assert value in shown.split(name)[1].splitlines()[0]


def test_both_graphs_move_to_a_device(transfer: RegisterTransfer) -> None:
    folder = folder_of(transfer())
    generator, encoder = (graph.load(folder / file, "meta") for file in GRAPHS)
    faces = torch.rand(3, 3, 32, 32, device="meta")
    expression = encoder(faces)["expression"]
    assert generator(faces, expression)["picture"].shape == faces.shape


def test_a_version_from_before_there_were_two_graphs_is_still_read() -> None:
    metadata = VersionMetadata(crop=CROP, outputs={"expression": "batch 16"})
    new = ("encoder", "condition", "thresholds")
    tags = {key: value for key, value in metadata.to_tags().items() if key not in new}
    assert VersionMetadata.from_tags(tags) == metadata
    with_encoder = tags | {"encoder": json.dumps(dict(PIX2PIXHD.encoder))}
    assert VersionMetadata.from_tags(with_encoder).condition == 16
    with pytest.raises(ValueError, match="low"):
        VersionMetadata.from_tags(tags | {"thresholds": json.dumps({"nearer": "low"})})


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def foreign(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content.replace(b"torch.ops.aten.relu.default", b"os.system"))


@pytest.mark.parametrize("file", GRAPHS)
def test_a_version_with_one_graph_spoiled_does_not_load(
    transfer: RegisterTransfer, file: str
) -> None:
    spoiled = folder_of(transfer()) / file
    whole = spoiled.read_bytes()
    for spoil, reason in (
        (Path.unlink, "no exported graph"),
        (cut_off, "broken or no exported graph"),
        (foreign, f"{spoiled.name} calls os.system, which"),
    ):
        spoiled.write_bytes(whole)
        spoil(spoiled)
        with pytest.raises(BadVersion, match=reason) as raised:
            versions.load("pix2pixhd/1", "cpu", "torch")
        assert str(raised.value).startswith("Version 1 of pix2pixhd can't be used")
        assert spoiled.name in str(raised.value)


class RandomEncoder(Encoder):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return super().forward(torch.rand_like(faces))


class BranchingEncoder(Encoder):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return super().forward(faces if faces.mean() > 0.5 else -faces)


class WideEncoder(Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.expression = nn.Linear(8, 17)


class ShrinkingGenerator(Generator):
    def forward(self, faces: Tensor, change: Tensor) -> dict[str, Tensor]:
        outputs = super().forward(faces, change)
        return outputs | {"picture": outputs["picture"][..., ::2, ::2]}


@pytest.mark.parametrize(
    ("network", "encoder", "reason"),
    [
        (Generator(), RandomEncoder(), r"encoder\.onnx calls RandomUniformLike"),
        (Generator(), BranchingEncoder(), "The encoder of pix2pixhd can't be exported"),
        (Generator(), Generator(), "The encoder of pix2pixhd fails on faces of 32 px"),
        (Generator(), WideEncoder(), "The encoder of pix2pixhd gives expression of 17, not 16"),
        (Encoder(), Encoder(), "The generator of pix2pixhd fails on faces of 32 px"),
        (
            ShrinkingGenerator(),
            Encoder(),
            "The generator of pix2pixhd gives picture of 3 x 16",
        ),
        (Generator(), ConditionEncoder(), "The generator of pix2pixhd fails on faces of 32 px"),
    ],
)
def test_a_pair_that_cannot_be_served_leaves_nothing_behind(
    transfer: RegisterTransfer,
    fresh_store: Path,
    network: nn.Module,
    encoder: nn.Module,
    reason: str,
) -> None:
    with pytest.raises(BadVersion, match=reason) as raised:
        transfer(network, encoder=encoder)
    assert "not registered" in str(raised.value)
    assert versions.list_versions() == versions.broken_versions() == []
    assert list(fresh_store.rglob("*.pt2")) == []


def test_an_encoder_is_given_where_the_spec_names_one(
    transfer: RegisterTransfer, register: Register
) -> None:
    with pytest.raises(BadVersion, match="pix2pixhd needs an encoder"):
        transfer(encoder=None)
    with pytest.raises(BadVersion, match="dln has no encoder"):
        register(encoder=Encoder())


def test_a_version_keeps_its_encoder_whatever_happens_to_dln(
    transfer: RegisterTransfer, register: Register
) -> None:
    transfer()
    model, faces = versions.load("pix2pixhd/1", "cpu"), torch.rand(2, 3, 32, 32)
    before = model.encode(faces)
    register()
    promote("dln", 1)
    for again in (model, versions.load("pix2pixhd/1", "cpu")):
        for key, value in again.encode(faces).items():
            torch.testing.assert_close(value, before[key], rtol=0, atol=0)
