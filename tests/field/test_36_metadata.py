"""A version's metadata is checked before anything is loaded; the one in use stays in place."""

import json
from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import nn

from demo.models import ModelServer
from registry import promotion, store, versions
from registry.catalog import EMOTION
from registry.crops import CropSpec
from registry.errors import BadVersion
from registry.graphs import graph
from tests.demo.fakes import FakeModel, version
from tests.demo.test_models import until
from tests.registry.conftest import CROP, SPEC, Register, Tiny

GOOD_CROP = {"size_px": 32, "margin": 0.1, "roll": True}
FAULTS: list[tuple[Mapping[str, object], str]] = [
    ({"crop": GOOD_CROP | {"margin": float("inf")}}, "the margin of its crop is inf"),
    ({"crop": GOOD_CROP | {"margin": float("nan")}}, "the margin of its crop is nan"),
    ({"crop": GOOD_CROP | {"margin": -1}}, "margin of its crop is -1, not -0.5 to 4"),
    ({"crop": GOOD_CROP | {"margin": None}}, "the margin of its crop is None"),
    ({"crop": GOOD_CROP | {"size_px": 60_000}}, "its faces are 60000 px large, not 16 to 1024"),
    ({"crop": GOOD_CROP | {"size_px": 15}}, "its faces are 15 px large"),
    ({"crop": GOOD_CROP | {"size_px": 32.5}}, "its faces are 32.5 px large"),
    ({"crop": GOOD_CROP | {"size_px": float("inf")}}, "its faces are inf px large"),
    ({"crop": GOOD_CROP | {"roll": "no"}}, "the roll of its crop is 'no'"),
    ({"crop": GOOD_CROP | {"sharpen": True}}, "is incomplete"),
    ({"crop": [1, 2, 3]}, "is incomplete"),
    ({"labels": [None, None]}, "one of its labels is None"),
    ({"labels": ["happy", " "]}, "one of its labels is ' '"),
    ({"labels": ["happy", "happy"]}, "two of its labels are equal"),
    ({"outputs": {"logits": "batch labels"}}, "its logits have no labels"),
    ({"outputs": ["expression"]}, "its outputs are no texts by name"),
    ({"outputs": {"expression": None}}, "its outputs are no texts by name"),
    ({"temperature": 0}, "its temperature is 0"),
    ({"temperature": float("nan")}, "its temperature is nan"),
    ({"condition": -1}, "the length of its change is -1"),
    ({"condition": 10**9}, "the length of its change is 1000000000"),
    ({"thresholds": {"nearer": float("inf")}}, "its threshold nearer is inf"),
    ({"class_prior": {"happy": 1.0}}, "its class prior is no positive share of each label"),
    (
        {"labels": ["happy", "sad"], "class_prior": {"happy": 1.0, "sad": 0.0}},
        "its class prior is no positive share",
    ),
    (
        {"labels": ["happy", "sad"], "class_prior": {"happy": 0.5, "sad": 0.4}},
        "its class prior is no positive share",
    ),
]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer(poll_seconds=0.02)
    yield server
    server.close()


def test_no_fault_is_loaded_and_the_version_before_answers(
    register: Register, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = register()
    register()
    promotion.promote("dln", 1)
    assert server.model("dln").version.number == good.number
    client = store.connect()
    tags = dict(client.get_model_version("dln", "2").tags)

    def refuse(*_: object) -> nn.Module:
        raise AssertionError("a version with such metadata must not be loaded")

    monkeypatch.setattr(graph, "load", refuse)
    for fault, reason in FAULTS:
        for key, value in fault.items():
            client.set_model_version_tag("dln", "2", key, json.dumps(value))
        client.set_registered_model_alias("dln", "production", "2")
        with pytest.raises(BadVersion, match=r"^Version 2 of dln .*: promote another") as raised:
            versions.load("dln@production")
        assert reason in str(raised.value), fault
        with pytest.raises(BadVersion):
            promotion.promote("dln", 2)
        assert [each.number for each in versions.list_versions("dln")] == [1]
        assert len(versions.broken_versions("dln")) == 1
        assert server.model("dln").version.number == good.number
        if "is incomplete" not in reason:
            assert until(lambda reason=reason: reason in str(server.problem("dln")))
            assert "Until then version 1 answers" in str(server.problem("dln"))
        client.set_registered_model_alias("dln", "production", "1")
        for key in fault:
            client.set_model_version_tag("dln", "2", key, tags[key])
    assert server.model("dln").version.number == good.number


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"crop": CropSpec(size_px=8, margin=0.1)}, "its faces are 8 px large"),
        ({"crop": CropSpec(size_px=32, margin=float("inf"))}, "the margin of its crop is inf"),
        ({"labels": ("happy", "happy")}, "two of its labels are equal"),
        ({"temperature": float("nan")}, "its temperature is nan"),
        (
            {"labels": ("happy", "sad"), "class_prior": {"happy": float("nan"), "sad": 0.5}},
            "its class prior is no positive share",
        ),
    ],
)
def test_such_a_version_is_not_even_registered(
    register: Register, changes: Mapping[str, object], reason: str
) -> None:
    with pytest.raises(BadVersion, match=f"A version of dln was not registered, because {reason}"):
        register(**changes)
    assert versions.list_versions() == []


def test_as_many_labels_as_outputs(register: Register, tiny: Tiny) -> None:
    assert register is not None
    assert tiny is not None

    class Logits(nn.Module):
        def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": faces.mean((2, 3))}

    run = store.connect().create_run(store.experiment("emotion")).info.run_id
    with pytest.raises(BadVersion, match="gives logits of 3, not 2, for a face"):
        versions.register(
            EMOTION, Logits(), crop=CROP, run_id=run, config={}, description="",
            labels=("happy", "sad"),
        )  # fmt: skip


def test_a_version_is_tried_on_faces_that_the_cropper_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Faces of the cropper vary, are in [0, 1], and have the size of the crop."""
    tried: list[torch.Tensor] = []

    def network(faces: torch.Tensor) -> dict[str, torch.Tensor]:
        tried.append(faces)
        count = len(faces)
        return {"expression": torch.ones(count, 16), "identity": torch.ones(count, 8)}

    model = FakeModel(version(SPEC.name, 1, size_px=48), network)
    monkeypatch.setattr(versions, "resolve", lambda _: model.version)
    monkeypatch.setattr(versions, "load", lambda *_: model)
    assert ModelServer(poll_seconds=None).model("dln").version is model.version
    (faces,) = tried
    assert faces.shape == (2, 3, 48, 48)
    assert 0 <= float(faces.min()) < float(faces.max()) <= 1
    assert not torch.equal(faces[0], faces[1])
