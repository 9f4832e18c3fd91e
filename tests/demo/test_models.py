"""The alias moves; who answers follows, and never stops answering."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from demo.models import ModelServer
from registry.catalog import DLN
from registry.crops import CropSpec
from registry.errors import BadVersion, EmptyRegistry, Unreachable
from registry.promotion import promote
from registry.store import connect, experiment
from registry.versions import register
from tests.browser.networks import TinyEncoder, TinyGenerator
from tests.demo.fakes import FakeRegistry, Network, answers

UNIT = torch.eye(16)
GOOD = answers(UNIT)


@pytest.fixture
def served() -> Iterator[ModelServer]:
    served = ModelServer(poll_seconds=0.02)
    yield served
    served.close()


def until(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Return whether the condition came true in time."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        pause.wait(0.02)
    return bool(condition())


def number(served: ModelServer, name: str = "dln") -> int:
    return served.model(name).version.number


def test_the_version_with_the_alias_answers_and_follows_it(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(served) == 1
    registry.put("dln", 2, GOOD)
    assert until(lambda: number(served) == 2)
    registry.put("dln", 1, GOOD)
    assert until(lambda: number(served) == 1)
    assert served.problem("dln") is None


def test_a_store_made_anew_is_another_version_although_it_counts_from_one_again(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("emotion", 1, lambda faces: {"logits": torch.zeros(len(faces), 8)})
    first = served.model("emotion")
    registry.production["emotion"] = replace(first.version, run_id="f" * 32)
    assert until(lambda: served.model("emotion") is not first)


def raises(_faces: Tensor) -> Mapping[str, Tensor]:
    raise RuntimeError("shapes cannot be multiplied")


BROKEN = {
    "fails on faces of 32 px": raises,
    "gives no expression and no identity": lambda faces: {"logits": torch.zeros(len(faces), 8)},
    "numbers that aren't finite": answers(UNIT * float("nan")),
}


@pytest.mark.parametrize("told", BROKEN)
def test_a_broken_version_leaves_the_old_one_answering_and_is_told(
    registry: FakeRegistry, served: ModelServer, told: str
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(served) == 1
    registry.put("dln", 2, BROKEN[told])
    assert until(lambda: served.problem("dln"))
    assert number(served) == 1
    problem = served.problem("dln")
    assert problem is not None
    assert problem.startswith("Version 2 of dln")
    assert told in problem
    assert problem.endswith("Until then version 1 answers.")
    registry.put("dln", 3, GOOD)
    assert until(lambda: number(served) == 3)
    assert served.problem("dln") is None


def without(network: Network, name: str) -> Network:
    def forgetful(*inputs: Tensor) -> Mapping[str, Tensor]:
        return {key: value for key, value in network(*inputs).items() if key != name}

    return forgetful


def test_both_graphs_of_a_version_are_tried(registry: FakeRegistry, served: ModelServer) -> None:
    asked: list[Tensor] = []

    def draw(faces: Tensor, change: Tensor) -> Mapping[str, Tensor]:
        asked.append(change)
        return {"picture": faces, "mask": faces[:, :1]}

    registry.put_transfer(generator=draw)
    expression = served.model("pix2pixhd").encode(torch.rand(3, 3, 32, 32))["expression"]
    torch.testing.assert_close(expression.norm(dim=1), torch.ones(3))
    assert asked[0].shape == (2, 16)
    assert asked[0].norm(dim=1).min() > 0.1


ENCODER = TinyEncoder().requires_grad_(False)
GENERATOR = TinyGenerator(ENCODER)
BROKEN_PAIRS: dict[str, dict[str, Network]] = {
    "gives no identity": {"encoder": without(ENCODER, "identity")},
    "gives no mask": {"generator": without(GENERATOR, "mask")},
    "fails on faces of 32 px (shapes": {"encoder": raises},
    "numbers that aren't finite": {"encoder": answers(UNIT * float("nan"))},
    "gives picture of 3 x 24 x 24, not 3 x 32 x 32, for a face": {
        "generator": lambda faces, change: GENERATOR(faces[..., 4:28, 4:28], change)
    },
}


@pytest.mark.parametrize("told", BROKEN_PAIRS)
def test_a_version_with_one_graph_broken_is_refused(
    registry: FakeRegistry, served: ModelServer, told: str
) -> None:
    registry.put_transfer(**BROKEN_PAIRS[told])
    with pytest.raises(BadVersion, match=re.escape(told)) as refused:
        served.model("pix2pixhd")
    assert str(refused.value).startswith("Version 1 of pix2pixhd")


def test_a_problem_ends_when_the_alias_goes_back(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(served) == 1
    registry.put("dln", 2, raises)
    assert until(lambda: served.problem("dln"))
    registry.put("dln", 1, GOOD)
    assert until(lambda: served.problem("dln") is None)
    assert registry.loads == [("dln", 1), ("dln", 2)]


def test_a_version_with_more_answers_than_labels_is_refused(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("emotion", 1, lambda faces: {"logits": torch.zeros(len(faces), 7)})
    with pytest.raises(BadVersion, match="gives logits of 7, not 8, for a face"):
        served.model("emotion")


def test_a_broken_version_is_not_loaded_at_every_look(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("dln", 1, raises)
    with pytest.raises(BadVersion, match="fails on faces"):
        served.model("dln")
    assert until(lambda: registry.looks > 5)
    assert registry.loads == [("dln", 1)]


@pytest.mark.parametrize(
    "wrong",
    [EmptyRegistry("Empty: seed."), Unreachable("The server is down."), OSError("disk I/O error")],
)
def test_what_is_wrong_at_first_is_told_and_may_come_right(
    registry: FakeRegistry, served: ModelServer, wrong: Exception
) -> None:
    registry.production["dln"] = wrong
    kind = type(wrong) if not isinstance(wrong, OSError) else BadVersion
    with pytest.raises(kind, match=str(wrong)):
        served.model("dln")
    assert str(wrong) in str(served.problem("dln"))
    registry.put("dln", 1, GOOD)
    assert until(lambda: served.problem("dln") is None)
    assert number(served) == 1


def test_a_registry_that_goes_away_stops_no_answer(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(served) == 1
    registry.production["dln"] = Unreachable("The server is down.")
    assert until(
        lambda: served.problem("dln") == "The server is down. Until then version 1 answers."
    )
    assert number(served) == 1


def blocked(gate: threading.Event, network: Network) -> Network:
    def wait(faces: Tensor) -> Mapping[str, Tensor]:
        assert gate.wait(10)
        return network(faces)

    return wait


def test_the_old_version_answers_while_the_new_one_is_tried(
    registry: FakeRegistry, served: ModelServer
) -> None:
    gate = threading.Event()
    registry.put("dln", 1, GOOD)
    assert number(served) == 1
    registry.put("dln", 2, blocked(gate, GOOD))
    assert until(lambda: ("dln", 2) in registry.loads)
    assert number(served) == 1
    gate.set()
    assert until(lambda: number(served) == 2)


def test_many_first_visitors_load_a_version_once(registry: FakeRegistry) -> None:
    gate = threading.Event()
    registry.put("dln", 1, blocked(gate, GOOD))
    served = ModelServer(poll_seconds=None)
    with ThreadPoolExecutor(8) as visitors:
        models = [visitors.submit(served.model, "dln") for _ in range(8)]
        gate.set()
        assert len({id(model.result(10)) for model in models}) == 1
    assert registry.loads == [("dln", 1)]


def test_without_a_watch_the_first_version_stays(registry: FakeRegistry) -> None:
    served = ModelServer(poll_seconds=None)
    registry.put("dln", 1, GOOD)
    assert number(served) == 1
    registry.put("dln", 2, GOOD)
    assert number(served) == 1


def test_followed_models_are_loaded_before_anyone_asks(
    registry: FakeRegistry, served: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    served.follow("dln", "emotion")
    assert until(lambda: registry.loads == [("dln", 1)])
    assert until(lambda: served.problem("emotion"))
    assert served.problem("dln") is None


class Tiny(nn.Module):
    """Brightness of a face, by random weights, as two vectors."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        weights = torch.randn((16, 3), generator=torch.Generator().manual_seed(seed))
        self.register_buffer("weights", weights)

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        vectors = nn.functional.normalize(faces.mean((2, 3)) @ self.weights.T)
        return {"expression": vectors, "identity": vectors.flip(1)}


@pytest.mark.usefixtures("store")
def test_a_promotion_in_the_real_registry_is_followed_within_ten_seconds() -> None:
    run = connect().create_run(experiment("dln"))
    crop = CropSpec(size_px=32, margin=0.2)
    first, second = (
        register(DLN, Tiny(n), crop=crop, run_id=run.info.run_id, config={}, description="tiny")
        for n in range(2)
    )
    promote("dln", first.number)
    faces = torch.rand(3, 3, 32, 32)
    served = ModelServer(device="cpu")
    with closing(served):
        assert number(served) == first.number
        assert torch.allclose(
            served.model("dln")(faces)["expression"], Tiny(0)(faces)["expression"]
        )
        connect().set_registered_model_alias("dln", "production", str(second.number))
        assert until(lambda: number(served) == second.number, seconds=10)
        assert torch.allclose(
            served.model("dln")(faces)["expression"], Tiny(1)(faces)["expression"]
        )
