import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from registry import entries, store, versions
from registry.crops import CropSpec
from registry.errors import BadVersion, EmptyRegistry, Unreachable
from registry.promotion import promote
from tests.registry.conftest import ACCURACY, SPEC, Register, Tiny


def faces(batch: int) -> Tensor:
    return torch.rand(batch, 3, 32, 32)


def folder_of(version: versions.Version) -> Path:
    with entries.files(version) as folder:
        return folder


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_loaded_version_computes_what_the_network_did(
    register: Register, tiny: Tiny, batch: int
) -> None:
    model = versions.load(register(tiny.train()), "cpu")
    assert tiny.training
    eager, given = copy.deepcopy(tiny).eval(), faces(batch)
    wanted = eager(given)
    found = model(given)
    assert list(found) == ["expression", "identity"]
    for key in wanted:
        torch.testing.assert_close(found[key], wanted[key], rtol=0, atol=1e-5)
        assert found[key].dtype == torch.float32
        assert found[key].is_inference()


def test_a_version_carries_all_its_user_has_to_know(register: Register) -> None:
    version = register(
        crop=CropSpec(size_px=32, margin=0.25, roll=False),
        labels=("happy", "sad"),
        temperature=1.5,
        data={"toy": "digest"},
        starter="abc",
    )
    assert version == versions.resolve("dln/1")
    assert version.crop == CropSpec(size_px=32, margin=0.25, roll=False)
    assert (version.labels, version.temperature) == (("happy", "sad"), 1.5)
    assert (version.data, version.starter) == ({"toy": "digest"}, "abc")
    assert version.outputs == SPEC.outputs
    assert version.description.startswith("Tiny and quick.")
    assert version.created.utcoffset() is not None
    assert versions.measurements(version) == [ACCURACY]


def test_what_rebuilds_the_network_is_stored_with_the_graph(register: Register, tiny: Tiny) -> None:
    version = register()
    again = Tiny()
    again.load_state_dict(versions.weights("dln/1"))
    given = faces(3)
    torch.testing.assert_close(again.eval()(given), tiny.eval()(given))
    assert versions.config("dln/1") == {"width": 4, "layers": [1, 2]}
    card = (folder_of(version) / "extra_files" / "card.md").read_text()
    assert card.startswith("# Tiny (dln)")
    assert "| Output expression | batch 4, unit length |" in card


def test_all_files_of_a_version_lie_in_its_store(register: Register, fresh_store: Path) -> None:
    version = register()
    assert folder_of(version).is_relative_to(fresh_store / "artifacts" / "dln")
    logged = store.connect().search_logged_models([store.experiment("dln")])
    assert [model.source_run_id for model in logged] == [version.run_id]


def test_a_version_has_many_names(register: Register) -> None:
    register()
    second = register()
    promote("dln", 1)
    for reference in ("dln", "dln@production", "models:/dln@production", "models:/dln/1"):
        assert versions.resolve(reference).number == 1
    assert versions.resolve("dln/2") == second
    assert [version.number for version in versions.list_versions()] == [2, 1]
    assert [version.aliases for version in versions.list_versions("dln")] == [(), ("production",)]


def test_the_newest_version_with_given_fields_is_found(register: Register) -> None:
    register(starter="old")
    second = register(starter="new")
    third = register(starter="new")
    assert versions.find("dln", starter="new") == third
    assert versions.find("dln", run_id=second.run_id) == second
    assert versions.find("dln", starter="none") is None
    assert versions.find("emotion") is None


@pytest.mark.parametrize(
    ("reference", "error", "reason"),
    [
        ("dln/9", BadVersion, "dln has no version 9; it has 1."),
        ("dln@champion", BadVersion, "dln has no alias champion"),
        ("two words", BadVersion, "'two words' names no version"),
        ("dnl", BadVersion, "the models are dln, fecnet, emotion, pix2pixhd"),
        ("dnl/1", BadVersion, "There is no model dnl"),
        ("emotion/1", EmptyRegistry, "python app.py seed"),
        ("emotion", EmptyRegistry, "python app.py seed"),
        ("dln", EmptyRegistry, "python -m registry promote dln 1"),
    ],
)
def test_a_reference_that_means_nothing_is_answered_with_advice(
    register: Register, reference: str, error: type[Exception], reason: str
) -> None:
    register()
    with pytest.raises(error) as raised:
        versions.resolve(reference)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


class Branching(Tiny):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return super().forward(faces if faces.mean() > 0.5 else -faces)


class Nameless(Tiny):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {"expression": super().forward(faces)["expression"]}


class Failing(Tiny):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        raise RuntimeError(f"no {faces.shape}")


class Endless(Tiny):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {key: value / 0 for key, value in super().forward(faces).items()}


class Random(Tiny):
    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return super().forward(torch.rand_like(faces))


@pytest.mark.parametrize("kind", [Branching, Nameless, Failing, Endless, Random])
def test_a_network_that_cannot_be_served_leaves_nothing_behind(
    register: Register, fresh_store: Path, kind: type[Tiny]
) -> None:
    with pytest.raises(BadVersion, match="not registered"):
        register(kind())
    assert versions.list_versions() == versions.broken_versions() == []
    assert store.connect().search_logged_models([store.experiment("dln")]) == []
    assert list(fresh_store.rglob("*.pt2")) == []


class Checked(Tiny):
    """As training's networks are under the tests' import hook."""

    @jaxtyped(typechecker=beartype)
    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Float[Tensor, "batch _"]]:
        return super().forward(faces)


def test_shape_checks_stay_out_of_the_graph_and_in_the_network(register: Register) -> None:
    network = Checked()
    model = versions.load(register(network), "cpu")
    assert [len(model(faces(batch))["identity"]) for batch in (1, 5)] == [1, 5]
    with pytest.raises(TypeCheckError):
        network(torch.rand(3, 32, 32))


def test_a_version_is_exported_in_float32_also_under_autocast(
    register: Register, tiny: Tiny
) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model = versions.load(register(tiny.bfloat16()), "cpu")
        found = model(faces(2))
    wanted = tiny.float().eval()(faces(2))
    assert found["identity"].dtype == wanted["identity"].dtype == torch.float32
    assert all(value.dtype != torch.bfloat16 for value in versions.weights("dln/1").values())


def test_many_threads_may_use_one_model(register: Register) -> None:
    model = versions.load(register(), "cpu")
    batches = [faces(1 + i % 5) for i in range(40)]
    alone = [model(batch)["expression"] for batch in batches]
    start = threading.Barrier(8)

    def compute(part: int) -> list[Tensor]:
        start.wait()
        return [model(batch)["expression"] for batch in batches[part::8]]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(compute, range(8)))
    for part, found in enumerate(answers):
        torch.testing.assert_close(found, alone[part::8])


def test_versions_are_loaded_and_used_while_others_are_registered(register: Register) -> None:
    first, given, done = register(), faces(2), threading.Event()
    wanted = versions.load(first, "cpu")(given)["expression"]

    def load_and_use() -> int:
        times = 0
        while not done.is_set():
            torch.testing.assert_close(versions.load(first, "cpu")(given)["expression"], wanted)
            times += 1
        return times

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(load_and_use) for _ in range(2)]
        try:
            assert [register().number for _ in range(3)] == [2, 3, 4]
        finally:
            done.set()
    assert all(reader.result() > 1 for reader in reading)


def test_faces_of_another_size_are_refused(register: Register) -> None:
    model = versions.load(register(), "cpu")
    with pytest.raises(BadVersion, match="takes faces of 32 x 32 px, not 48 x 32"):
        model(torch.rand(2, 3, 32, 48))


@pytest.mark.parametrize(
    ("missing", "read", "reason"),
    [
        ("data/model.pt2", versions.load_module, "no exported graph"),
        ("extra_files/weights.safetensors", versions.weights, "weights.safetensors is missing"),
        ("extra_files/config.json", versions.config, "config.json is missing"),
    ],
)
def test_a_half_written_version_is_named(
    register: Register, missing: str, read: Any, reason: str
) -> None:
    (folder_of(register()) / missing).unlink()
    with pytest.raises(BadVersion, match=reason) as raised:
        read("dln/1")
    assert str(raised.value).startswith("Version 1 of dln can't be used")


def test_a_cut_off_file_is_named(register: Register) -> None:
    folder = folder_of(register())
    for name in ("model.onnx", "weights.safetensors", "config.json"):
        file = folder / "extra_files" / name
        file.write_bytes(file.read_bytes()[:-20])
    graph = folder / "data" / "model.pt2"
    graph.write_bytes(graph.read_bytes()[:-20])
    for read in (versions.load, versions.load_module, versions.weights, versions.config):
        with pytest.raises(BadVersion, match=r"broken|was changed after it was registered"):
            read("dln/1")


def test_a_version_without_metadata_is_left_out_of_the_list(register: Register) -> None:
    register()
    client = store.connect()
    client.create_model_version("dln", "file:///nothing", tags={"crop": "{}"})
    assert [version.number for version in versions.list_versions()] == [1]
    assert [str(fault)[:30] for fault in versions.broken_versions()] == [
        "Version 2 of dln is incomplete"
    ]
    with pytest.raises(BadVersion, match="Version 2 of dln is incomplete"):
        versions.load("dln/2")


def test_a_moved_checkout_is_named_and_can_be_seeded_again(
    register: Register, fresh_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = register(starter="abc")
    moved = fresh_store.rename(tmp_path / "moved")
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(moved))
    with pytest.raises(BadVersion, match=r"was moved .*python app.py seed"):
        versions.load("dln/1")
    assert versions.find("dln", starter="abc") is None
    new = register(starter="abc")
    assert versions.load("dln/2").version == new == versions.find("dln", starter="abc")
    assert folder_of(new).is_relative_to(moved)
    assert old.run_id != new.run_id


def test_deleted_files_are_not_called_a_move(register: Register, fresh_store: Path) -> None:
    folder_of(register()).rename(fresh_store / "elsewhere")
    with pytest.raises(BadVersion, match="were deleted"):
        versions.load("dln/1")


def test_a_dead_server_is_unreachable_for_every_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for read in (versions.resolve, versions.load, versions.weights, versions.find):
        with pytest.raises(Unreachable):
            read("dln")
