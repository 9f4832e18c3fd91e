"""A generator and its encoder in one version."""

import copy
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from registry import entries, graph, store, versions
from registry.__main__ import main
from registry.catalog import PIX2PIXHD
from registry.crops import CropSpec
from registry.entries import VersionMetadata
from registry.errors import BadVersion
from registry.promotion import promote
from tests.registry.conftest import Register

CROP = CropSpec(size_px=32, margin=0.4)
GRAPHS = ("data/model.pt2", "extra_files/encoder.pt2")
THRESHOLDS = {"nearer": 0.15, "same_person": 0.6}
RegisterTransfer = Callable[..., versions.Version]


class Drawing(nn.Module):
    """A generator's operators: planes, reflected edges, instance normalisation, a mask."""

    def __init__(
        self, upsampling: Literal["transposed", "resize"] = "resize", dims: int = 16
    ) -> None:
        super().__init__()
        up: list[nn.Module] = [nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1)]
        if upsampling == "resize":
            up = [nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1)]
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3 + dims, 4, 7), nn.ReLU()),
            *(nn.Conv2d(4, 8, 3, 2, 1), nn.InstanceNorm2d(8), nn.ReLU()),
            *(*up, nn.InstanceNorm2d(4), nn.ReLU()),
            *(nn.ReflectionPad2d(3), nn.Conv2d(4, 4, 7)),
        )

    def forward(self, faces: Tensor, change: Tensor) -> dict[str, Tensor]:
        planes = change[:, :, None, None].expand(-1, -1, *faces.shape[2:])
        drawn = self.body(torch.cat([faces * 2 - 1, planes], 1))
        mask = drawn[:, 3:].sigmoid()
        picture = torch.lerp(faces, drawn[:, :3].tanh() / 2 + 0.5, mask)
        return {"picture": picture, "mask": mask}


class Seeing(nn.Module):
    """An encoder that cuts its own, smaller part out of the faces."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2)
        self.expression = nn.Linear(8, 16)

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        inner = functional.interpolate(faces[..., 4:28, 4:28], 16, mode="bilinear", antialias=True)
        features = self.convolution(inner).relu().mean((2, 3))
        expression = functional.normalize(self.expression(features), dim=1)
        return {"expression": expression, "identity": functional.normalize(features, dim=1)}


class Asking(Seeing):
    """An encoder whose condition is more than its expression."""

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        said = super().forward(faces)
        return said | {"condition": torch.cat([said["expression"], said["identity"]], 1)}


@pytest.fixture
def transfer(fresh_store: Path) -> RegisterTransfer:
    """Register a generator and an encoder."""
    assert fresh_store.is_dir()

    def _transfer(network: nn.Module | None = None, **changes: Any) -> versions.Version:
        run = store.connect().create_run(store.experiment("pix2pixhd"))
        said: dict[str, Any] = {
            "crop": CROP,
            "run_id": run.info.run_id,
            "config": {"channels": 4},
            "description": "Draws.",
            "encoder": Seeing(),
            "thresholds": THRESHOLDS,
        }
        return versions.register(PIX2PIXHD, network or Drawing(), **(said | changes))

    return _transfer


def folder_of(version: versions.Version) -> Path:
    with entries.files(store.connect(), version) as folder:
        return folder


@pytest.mark.parametrize(
    ("drawing", "seeing"),
    [
        (Drawing("transposed"), Seeing()),
        (Drawing("resize"), Seeing()),
        (Drawing(dims=24), Asking()),
    ],
)
def test_both_graphs_of_a_loaded_version_compute_what_the_networks_did(
    transfer: RegisterTransfer, drawing: Drawing, seeing: Seeing
) -> None:
    version = transfer(copy.deepcopy(drawing).train(), encoder=seeing)
    model = versions.load(version, "cpu")
    drawing.eval()
    for batch in (1, 2, 7):
        faces = torch.rand(batch, 3, 32, 32)
        seen = model.encode(faces)
        assert seen["condition"].shape == (batch, version.condition)
        change = seen["condition"].flip(0) - seen["condition"] / 2
        drawn = model(faces, change)
        with torch.no_grad():
            told = seeing(faces)
            wanted = [(seen, {"condition": told["expression"]} | told)]
            wanted += [(drawn, drawing(faces, change))]
        assert (drawn["picture"] - model(faces, -change)["picture"]).abs().max() > 1e-3
        for found, eager in wanted:
            assert list(found) == list(eager)
            for key, value in eager.items():
                torch.testing.assert_close(found[key], value, rtol=0, atol=1e-5)


def test_a_version_with_two_graphs_carries_all_its_user_has_to_know(
    transfer: RegisterTransfer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing, seeing = Drawing(), Seeing()
    version = transfer(drawing, encoder=seeing)
    assert version == versions.resolve("pix2pixhd/1")
    assert version.thresholds == THRESHOLDS
    assert (version.outputs, version.encoder) == (PIX2PIXHD.outputs, PIX2PIXHD.encoder)
    weights = versions.weights("pix2pixhd/1")
    for prefix, network in (("generator.", drawing), ("encoder.", seeing)):
        mine = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        assert mine.keys() == network.state_dict().keys()
        network.load_state_dict(mine)
    assert len(weights) == len(drawing.state_dict()) + len(seeing.state_dict())
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
    facts = VersionMetadata(crop=CROP, outputs={"expression": "batch 16"})
    new = ("encoder", "condition", "thresholds")
    tags = {k: v for k, v in facts.to_tags().items() if k not in new}
    assert VersionMetadata.from_tags(tags) == facts
    drawing = facts.to_tags() | {"encoder": json.dumps(dict(PIX2PIXHD.encoder))}
    assert (
        VersionMetadata.from_tags({k: v for k, v in drawing.items() if k != "condition"}).condition
        == 16
    )
    with pytest.raises(ValueError, match="low"):
        VersionMetadata.from_tags(facts.to_tags() | {"thresholds": json.dumps({"nearer": "low"})})


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
    for spoil, said in (
        (Path.unlink, "no exported graph"),
        (cut_off, "broken or no exported graph"),
        (foreign, "os.system in"),
    ):
        spoiled.write_bytes(whole)
        spoil(spoiled)
        with pytest.raises(BadVersion, match=said) as told:
            versions.load("pix2pixhd/1", "cpu")
        assert str(told.value).startswith("Version 1 of pix2pixhd can't be used")
        assert spoiled.name in str(told.value)


class Restless(Seeing):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return super().forward(torch.rand_like(faces))


class Choosing(Seeing):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return super().forward(faces if faces.mean() > 0.5 else -faces)


class Wide(Seeing):
    def __init__(self) -> None:
        super().__init__()
        self.expression = nn.Linear(8, 17)


class Shrinking(Drawing):
    def forward(self, faces: Tensor, change: Tensor) -> dict[str, Tensor]:
        drawn = super().forward(faces, change)
        return drawn | {"picture": drawn["picture"][..., ::2, ::2]}


@pytest.mark.parametrize(
    ("network", "encoder", "said"),
    [
        (Drawing(), Restless(), "is not what its encoder computes"),
        (Drawing(), Choosing(), "The encoder of pix2pixhd can't be exported"),
        (Drawing(), Drawing(), "The encoder of pix2pixhd fails on faces of 32 px"),
        (Drawing(), Wide(), "The encoder of pix2pixhd gives expression of 17, not 16"),
        (Seeing(), Seeing(), "The generator of pix2pixhd fails on faces of 32 px"),
        (Shrinking(), Seeing(), "The generator of pix2pixhd gives picture of 3 x 16 x 16"),
        (Drawing(), Asking(), "The generator of pix2pixhd fails on faces of 32 px"),
    ],
)
def test_a_pair_that_can_not_be_served_leaves_nothing_behind(
    transfer: RegisterTransfer,
    fresh_store: Path,
    network: nn.Module,
    encoder: nn.Module,
    said: str,
) -> None:
    with pytest.raises(BadVersion, match=said) as told:
        transfer(network, encoder=encoder)
    assert "not registered" in str(told.value)
    assert versions.list_versions() == versions.broken_versions() == []
    assert list(fresh_store.rglob("*.pt2")) == []


def test_an_encoder_is_given_where_the_card_names_one(
    transfer: RegisterTransfer, register: Register
) -> None:
    with pytest.raises(BadVersion, match="pix2pixhd needs an encoder"):
        transfer(encoder=None)
    with pytest.raises(BadVersion, match="dln has no encoder"):
        register(encoder=Seeing())


def test_a_version_keeps_its_encoder_whatever_becomes_of_dln(
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


def in_memory(encoder: nn.Module | None) -> versions.ProductionModel:
    version = versions.Version(
        name="pix2pixhd",
        number=3,
        run_id="",
        aliases=(),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        description="",
        crop=CROP,
        outputs=PIX2PIXHD.outputs,
        condition=16,
    )
    return versions.ProductionModel(version, "cpu", Drawing(), encoder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "change of expression of 2 x 16 for 2 faces, not none"),
        (torch.zeros(1, 16), "not 1 x 16"),
        (torch.zeros(2, 8), "not 2 x 8"),
        (torch.zeros(16), "not 16:"),
    ],
)
def test_a_change_of_another_shape_is_refused(change: Tensor | None, said: str) -> None:
    model, faces = in_memory(Seeing()), torch.rand(2, 3, 32, 32)
    assert model(faces, torch.zeros(2, 16))["picture"].shape == faces.shape
    with pytest.raises(BadVersion, match=said):
        model(faces, change)


def test_what_the_other_kind_of_version_takes_is_refused() -> None:
    one, two = in_memory(None), in_memory(Seeing())
    with pytest.raises(BadVersion, match="Version 3 of pix2pixhd has no encoder"):
        one.encode(torch.rand(2, 3, 32, 32))
    with pytest.raises(BadVersion, match="takes faces alone"):
        one(torch.rand(2, 3, 32, 32), torch.zeros(2, 16))
    for ask in (two.encode, lambda faces: two(faces, torch.zeros(2, 16))):
        with pytest.raises(BadVersion, match="takes faces of 32 x 32 px, not 48 x 32"):
            ask(torch.rand(2, 3, 32, 48))
