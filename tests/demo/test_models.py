"""The version that answers follows the alias, and a bad version never stops the answers."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from torch import Tensor

from demo.models import ModelServer
from registry.errors import BadVersion, EmptyRegistry, Unreachable
from tests.browser.networks import TinyEncoder, TinyGenerator
from tests.demo.fakes import FakeRegistry, Network, answers

UNIT = torch.eye(16)
GOOD = answers(UNIT)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setattr("demo.models.FIRST_PAUSE_SECONDS", 600.0)  # however slow the machine is
    server = ModelServer(poll_seconds=0.02)
    yield server
    server.close()


def until(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Return whether the condition came true in time."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        pause.wait(0.02)
    return bool(condition())


def number(server: ModelServer, name: str = "dln") -> int:
    return server.model(name).version.number


def test_the_version_with_the_alias_answers_and_follows_it(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    registry.put("dln", 2, GOOD)
    assert until(lambda: number(server) == 2)
    registry.put("dln", 1, GOOD)
    assert until(lambda: number(server) == 1)
    assert server.problem("dln") is None


def test_a_version_of_a_new_store_replaces_the_old_one_of_the_same_number(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("emotion", 1, lambda faces: {"logits": torch.zeros(len(faces), 8)})
    first = server.model("emotion")
    registry.production["emotion"] = replace(first.version, run_id="f" * 32)
    assert until(lambda: server.model("emotion") is not first)


def raises(_faces: Tensor) -> Mapping[str, Tensor]:
    raise RuntimeError("shapes cannot be multiplied")


BROKEN = {
    "fails on faces of 32 px": raises,
    "gives no expression and no identity": lambda faces: {"logits": torch.zeros(len(faces), 8)},
    "numbers that aren't finite": answers(UNIT * float("nan")),
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_version_leaves_the_old_one_answering_and_is_reported(
    registry: FakeRegistry, server: ModelServer, words: str
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    registry.put("dln", 2, BROKEN[words])
    assert until(lambda: server.problem("dln"))
    assert number(server) == 1
    problem = server.problem("dln")
    assert problem is not None
    assert problem.startswith("Version 2 of dln")
    assert words in problem
    assert problem.endswith("Until then version 1 answers.")
    registry.put("dln", 3, GOOD)
    assert until(lambda: number(server) == 3)
    assert server.problem("dln") is None


def test_a_failed_load_leaves_its_traceback_in_the_log_once(
    registry: FakeRegistry, server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    registry.put("dln", 1, raises)
    for _ in range(2):
        with pytest.raises(BadVersion, match="shapes cannot be multiplied"):
            server.model("dln")
    assert until(lambda: registry.resolved > 5)
    (record,) = (record for record in caplog.records if record.name == "demo.models")
    assert "dln" in record.getMessage()
    assert "Traceback" in caplog.text
    assert "RuntimeError: shapes cannot be multiplied" in caplog.text


def without(network: Network, name: str) -> Network:
    def incomplete(*inputs: Tensor) -> Mapping[str, Tensor]:
        return {key: value for key, value in network(*inputs).items() if key != name}

    return incomplete


def test_both_graphs_of_a_version_are_checked(registry: FakeRegistry, server: ModelServer) -> None:
    changes: list[Tensor] = []

    def draw(faces: Tensor, change: Tensor) -> Mapping[str, Tensor]:
        changes.append(change)
        return {"picture": faces, "mask": faces[:, :1]}

    registry.put_transfer(generator=draw)
    faces = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    expression = server.model("pix2pixhd").encode(faces)["expression"]
    np.testing.assert_allclose(np.linalg.norm(expression, axis=1), 1, rtol=1e-5)
    assert changes[0].shape == (2, 16)
    assert changes[0].norm(dim=1).min() > 0.1


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


@pytest.mark.parametrize("words", BROKEN_PAIRS)
def test_a_version_with_one_graph_broken_is_refused(
    registry: FakeRegistry, server: ModelServer, words: str
) -> None:
    registry.put_transfer(**BROKEN_PAIRS[words])
    with pytest.raises(BadVersion, match=re.escape(words)) as refused:
        server.model("pix2pixhd")
    assert str(refused.value).startswith("Version 1 of pix2pixhd")


def test_a_problem_ends_when_the_alias_goes_back(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    registry.put("dln", 2, raises)
    assert until(lambda: server.problem("dln"))
    registry.put("dln", 1, GOOD)
    assert until(lambda: server.problem("dln") is None)
    assert registry.loads == [("dln", 1), ("dln", 2)]


def test_a_version_with_fewer_logits_than_labels_is_refused(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("emotion", 1, lambda faces: {"logits": torch.zeros(len(faces), 7)})
    with pytest.raises(BadVersion, match="gives logits of 7, not 8, for a face"):
        server.model("emotion")


def test_a_broken_version_is_not_loaded_at_every_poll(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("dln", 1, raises)
    with pytest.raises(BadVersion, match="fails on faces"):
        server.model("dln")
    polls = registry.resolved
    assert until(lambda: registry.resolved > polls + 5)
    assert registry.loads == [("dln", 1)]


@pytest.mark.parametrize(
    "wrong",
    [EmptyRegistry("Empty: seed."), Unreachable("The server is down."), OSError("disk I/O error")],
)
def test_a_registry_that_fails_at_first_is_reported_until_it_answers(
    registry: FakeRegistry, server: ModelServer, wrong: Exception
) -> None:
    registry.production["dln"] = wrong
    kind = type(wrong) if not isinstance(wrong, OSError) else BadVersion
    with pytest.raises(kind, match=str(wrong)):
        server.model("dln")
    assert str(wrong) in str(server.problem("dln"))
    registry.put("dln", 1, GOOD)
    assert until(lambda: server.problem("dln") is None)
    assert number(server) == 1


def test_a_registry_that_becomes_unreachable_stops_no_answer(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    assert server.silent_since is None
    before = datetime.now(UTC)
    registry.production["dln"] = Unreachable("The server is down.")
    assert until(lambda: server.problem("dln") is not None)
    silent_since = server.silent_since
    assert silent_since is not None
    assert before <= silent_since <= datetime.now(UTC)
    asked = registry.resolved
    assert until(lambda: registry.resolved > asked + 2)
    assert server.silent_since == silent_since, "the first time counts"
    assert server.problem("dln") == (
        f"No answer from the registry since {silent_since.astimezone():%H:%M}; serving dln, "
        "version 1. The server is down."
    )
    assert number(server) == 1
    registry.put("dln", 2, GOOD)
    assert until(lambda: server.silent_since is None and number(server) == 2)
    assert server.problem("dln") is None


def blocked(gate: threading.Event, network: Network) -> Network:
    def wait(faces: Tensor) -> Mapping[str, Tensor]:
        assert gate.wait(100)
        return network(faces)

    return wait


def test_the_old_version_answers_while_the_new_one_is_tried(
    registry: FakeRegistry, server: ModelServer
) -> None:
    gate = threading.Event()
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    registry.put("dln", 2, blocked(gate, GOOD))
    assert until(lambda: ("dln", 2) in registry.loads)
    assert number(server) == 1
    gate.set()
    assert until(lambda: number(server) == 2)


def test_concurrent_first_calls_load_a_version_once(registry: FakeRegistry) -> None:
    gate = threading.Event()
    registry.put("dln", 1, blocked(gate, GOOD))
    server = ModelServer(poll_seconds=None)
    with ThreadPoolExecutor(8) as pool:
        models = [pool.submit(server.model, "dln") for _ in range(8)]
        gate.set()
        assert len({id(model.result(100)) for model in models}) == 1
    assert registry.loads == [("dln", 1)]


def test_without_polling_the_first_version_stays(registry: FakeRegistry) -> None:
    server = ModelServer(poll_seconds=None)
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    registry.put("dln", 2, GOOD)
    assert number(server) == 1


def test_followed_models_are_loaded_before_the_first_call(
    registry: FakeRegistry, server: ModelServer
) -> None:
    registry.put("dln", 1, GOOD)
    server.follow("dln", "emotion")
    assert until(lambda: registry.loads == [("dln", 1)])
    assert until(lambda: server.problem("emotion"))
    assert server.problem("dln") is None
