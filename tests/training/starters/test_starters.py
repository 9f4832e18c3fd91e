"""Shipped weights: stored without shared parts, complete when opened, registered once."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from registry import outcomes, promotion, registration, signature, store, versions
from registry.catalog import DLN as SPEC
from registry.outcomes import Outcomes, Source
from tests.browser import networks
from tests.training.starters.conftest import ACCURACY, COMPACT, DLN_CARD
from training import seed
from training.models.dln.network import DLN
from training.models.pix2pixhd.blendshape_head import BlendshapeHead, shipped_head
from training.models.pix2pixhd.encoder import narrower
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.networks import GeneratorWrapper
from training.starters import files

pytestmark = pytest.mark.xdist_group("starters")
PROJECT = Path(__file__).parents[3]
ALL_STARTERS_BYTES = 36_000_000
SEED = """
import sys
from pathlib import Path
from training import seed
from training.starters import files

files.FOLDER, files.STARTERS = Path(sys.argv[1]), ("dln-compact",)
for line in seed.seed():
    print(line)
"""


@pytest.fixture
def uncompleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't complete starters by what only PyTorch needs: that takes seconds."""
    monkeypatch.setattr(registration, "complete", lambda *_: None)
    monkeypatch.setattr(seed, "starter_sheet", lambda _: np.zeros((8, 8, 3), np.uint8))


def test_a_packed_network_is_complete_when_opened_and_its_frozen_branch_is_stored_once(
    network: DLN, tmp_path: Path
) -> None:
    packed = load_file(tmp_path / "dln-compact.safetensors")
    assert not any(key.startswith("pair.identity") for key in packed)
    back = DLN(COMPACT)
    back.load_state_dict(files.Starter.open("dln-compact").weights())
    for key, value in network.state_dict().items():
        stored = back.state_dict()[key]
        if value.ndim > 1:
            torch.testing.assert_close(stored, value, rtol=1e-3, atol=1e-6)
        else:
            assert torch.equal(stored, value), key
    faces = torch.rand(3, 3, 48, 48)
    with torch.inference_mode():
        for name, vectors in network(faces).items():
            again = back.eval()(faces)[name]
            assert torch.nn.functional.cosine_similarity(vectors, again).min() > 0.999


def test_a_network_with_another_frozen_branch_is_not_packed(network: DLN) -> None:
    state = dict(network.state_dict())
    state["pair.identity.last_linear.weight"] = state["pair.identity.last_linear.weight"] + 1
    with pytest.raises(ValueError, match="train it with the shipped one"):
        files.write("dln-compact", state, DLN_CARD, [])


def test_a_network_that_is_too_large_does_not_replace_the_starter(
    network: DLN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (tmp_path / "dln-compact.safetensors").read_bytes()
    monkeypatch.setattr(files, "SIZE_LIMIT", 1000)
    with pytest.raises(ValueError, match=r"this starter has at most 0\.001 MB"):
        files.write("dln-compact", network.state_dict(), DLN_CARD, [])
    assert (tmp_path / "dln-compact.safetensors").read_bytes() == before


def test_a_starter_is_registered_once_and_a_newer_one_replaces_it(
    network: DLN, fresh_store: Path
) -> None:
    assert fresh_store.is_dir()
    assert seed.seed() == [
        "dln version 1 is the starter dln-compact.",
        "dln version 1 is in production.",
    ]
    assert seed.seed() == []
    version = versions.resolve("dln")
    assert version.data == {"ferplus": "d" * 64}
    assert signature.is_signed(version)
    assert versions.measurements(version) == [ACCURACY]
    client = store.connect()
    run = client.get_run(version.run_id)
    assert _named(run.data.metrics) == {"validation/ferplus/triplet_accuracy"}
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("ferplus train", "d" * 36)
    assert "were not kept" in run.data.tags["mlflow.note.content"]
    assert "sheet.png" in [file.path for file in client.list_artifacts(version.run_id)]
    assert "dln-compact --data data/ferplus" in version.description
    files.write("dln-compact", network.state_dict(), DLN_CARD | {"seed": 1}, [])
    assert "dln version 2 is in production." in seed.seed()


def _named(metrics: dict[str, float]) -> set[str]:
    """Return the names of a run's metrics without those of the machine's load."""
    return {name for name in metrics if not name.startswith("system/")}


@pytest.mark.usefixtures("uncompleted")
def test_the_curves_and_outcomes_that_a_starter_was_packed_with_are_those_of_its_run(
    network: DLN, fresh_store: Path
) -> None:
    assert fresh_store.is_dir()
    source = Source(set="toy", split="test", digest="e" * 64, folder="data/toy")
    items = pd.DataFrame({"name": ["a", "b"], "probability": [0.5, 0.75]})
    files.write_outcomes("dln-compact", [Outcomes(source=source, items=items)])
    loss = [{"key": "loss", "value": 1.0 / n, "step": n, "timestamp": n} for n in (1, 2, 3)]
    groups = [ACCURACY, replace(ACCURACY, group="one class", value=0.4)]
    files.write("dln-compact", network.state_dict(), DLN_CARD, groups, loss)
    seed.seed()
    version = versions.resolve("dln")
    history = store.connect().get_metric_history(version.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    run = store.connect().get_run(version.run_id)
    assert _named(run.data.metrics) == {"loss", "validation/ferplus/triplet_accuracy"}
    assert len(versions.measurements(version)) == 2
    assert "were not kept" not in run.data.tags["mlflow.note.content"]
    (logged,) = outcomes.read(version)
    assert logged.source == source
    pd.testing.assert_frame_equal(logged.items, items)


@pytest.mark.usefixtures("network", "uncompleted")
def test_a_starter_that_older_code_registered_without_the_deviation_is_registered_again(
    fresh_store: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh_store.is_dir()
    with monkeypatch.context() as older:
        older.setitem(seed.NETWORKS, "dln-compact", lambda _: Older(COMPACT))
        seed.write_graphs(files.Starter.open("dln-compact"))
        seed.seed()
    shutil.copytree(packed, files.FOLDER, dirs_exist_ok=True)
    assert set(versions.resolve("dln/1").outputs) == {"expression", "identity"}
    assert seed.seed()[-1] == "dln version 2 is in production."
    assert "deviation" in versions.resolve("dln@production").outputs
    assert seed.seed() == []


class Older(DLN):
    """A DLN without the output `deviation`."""

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """Return `expression` and `identity`."""
        outputs = super().forward(faces)
        return {name: outputs[name] for name in ("expression", "identity")}


@pytest.mark.usefixtures("network", "uncompleted")
def test_a_users_version_stays_in_production(fresh_store: Path) -> None:
    assert fresh_store.is_dir()
    networks.register(SPEC, networks.Tiny(1, {"expression": 16, "identity": 32}))
    promotion.promote("dln", 1)
    assert seed.seed() == ["dln version 2 is the starter dln-compact."]
    assert versions.resolve("dln").number == 1


def copy_head() -> None:
    """Put the shipped head, and the network that it is a layer on, beside the packed starters."""
    for part in (files.MOBILEFACENET, files.BLENDSHAPES):
        for suffix in ("safetensors", "json"):
            shutil.copy(Path(files.__file__).parent / f"{part}.{suffix}", files.FOLDER)


@pytest.mark.usefixtures("uncompleted")
def test_a_generator_comes_with_the_shipped_dln_as_its_encoder(
    network: DLN, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh_store.is_dir()
    shape = {
        "channels": 8,
        "downsamplings": 2,
        "blocks": 1,
        "mask": True,
        "warp": True,
        "dims": 144,
    }
    encoder = {
        "version": "dln/1",
        "sha256": files.weights_digest(files.Starter.open(files.DLN).weights()),
    }
    card = DLN_CARD | {
        "model": "pix2pixhd",
        "recipe": files.PIX2PIXHD,
        "crop": {"size_px": 64, "margin": 0.4, "roll": True},
        "config": {"network": shape, "encoder": encoder, "condition": "deviation"},
        "thresholds": {"nearer": 0.1, "same_person": 0.5},
    }
    torch.manual_seed(0)
    generator = GeneratorWrapper(Generator(GeneratorConfig(**shape)))  # type: ignore[arg-type]
    state = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    inside = {f"encoder.dln.{k}": v for k, v in network.state_dict().items()}
    copy_head()
    foreign = card | {"config": card["config"] | {"encoder": encoder | {"sha256": "0" * 64}}}
    with pytest.raises(ValueError, match="not the shipped dln-compact"):
        files.write(files.PIX2PIXHD, state | inside, foreign, [])
    path = files.write(files.PIX2PIXHD, state | inside, card, [])
    assert not any(key.startswith("encoder") for key in load_file(path))
    monkeypatch.setattr(files, "STARTERS", (files.DLN, files.PIX2PIXHD))
    seed.write_graphs(files.Starter.open(files.PIX2PIXHD))
    seed.seed()
    model = versions.load("pix2pixhd", "cpu")
    added = files.Starter.open(files.BLENDSHAPES).card["thresholds"]
    assert model.version.thresholds == card["thresholds"] | added
    assert set(load_file(files.FOLDER / "blendshapes.safetensors")) == {"weight", "bias"}
    faces, change = torch.rand(2, 3, 64, 64), torch.randn(2, 144)
    with torch.inference_mode():
        picture = generator.eval()(faces, change)["picture"]
    assert (model(faces, change)["picture"] - picture).abs().max() < 0.02
    with torch.inference_mode():
        deviation = network(faces[..., 8:56, 8:56])["deviation"]
        blendshapes = shipped_head()(narrower(faces, model.version.crop, BlendshapeHead.crop))
    condition = model.encode(faces)["condition"]
    assert torch.nn.functional.cosine_similarity(condition[:, 16:], deviation).min() > 0.99
    assert (model.encode(faces)["blendshapes"] - blendshapes).abs().max() < 1e-4


def test_the_shipped_starters_bring_outcomes_of_the_data_in_their_table() -> None:
    for name in files.STARTERS:
        tables = [outcomes.read_file(path) for path in files.outcome_files(name)]
        measured = {(row.split, row.set) for row in files.Starter.open(name).measurements}
        found = {(table.source.split, table.source.set) for table in tables if table}
        assert ("test", "ferplus") in found
        assert found <= measured


def test_the_shipped_starters_are_small_and_their_cards_say_how_they_were_made() -> None:
    kinds = ("*.safetensors", "*.onnx", "*/*.parquet")
    shipped = [path for kind in kinds for path in files.FOLDER.glob(kind)]
    assert sum(file.stat().st_size for file in shipped) < ALL_STARTERS_BYTES
    for name in filter(files.is_shipped, (files.IDENTITY, *files.STARTERS)):
        starter = files.Starter.open(name)
        size = (files.FOLDER / f"{name}.safetensors").stat().st_size
        assert size <= files.LARGER_LIMITS.get(name, files.SIZE_LIMIT)
        assert starter.card["command"].startswith(f"python -m training train {name} ")
        assert starter.measurements
        if name in seed.NETWORKS:
            seed.NETWORKS[name](starter.card).load_state_dict(starter.weights())


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("network")
def test_two_processes_that_seed_at_once_register_once(fresh_store: Path, tmp_path: Path) -> None:
    assert fresh_store.is_dir()
    seeds = [
        subprocess.Popen(
            [sys.executable, "-c", SEED, str(tmp_path)],
            cwd=PROJECT, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    printed = [each.communicate(timeout=300)[0].splitlines() for each in seeds]
    assert [each.returncode for each in seeds] == [0, 0]
    registered = ["dln version 1 is the starter dln-compact.", "dln version 1 is in production."]
    assert sorted(printed) == [[], registered]
    assert [version.number for version in versions.list_versions("dln")] == [1]
    assert versions.resolve("dln").number == 1
