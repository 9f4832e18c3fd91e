"""What is asked of a model's state fits together while a watcher replaces it."""

import sys
from collections.abc import Iterator

import pytest

from demo.models import ModelServer
from registry.errors import Unreachable
from tests.demo.fakes import FakeRegistry, answers
from tests.demo.test_models import UNIT, until

ASKED = 20_000
SILENT = Unreachable("The server is down.")


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Unsteady(FakeRegistry):
    """Answers and is silent in turn."""

    def resolve(self, reference: str) -> object:  # type: ignore[override]
        version = super().resolve(reference)
        if self.resolved % 2:
            return version
        raise SILENT


@pytest.mark.usefixtures("eager_threads")
def test_a_problem_is_named_or_none_while_the_registry_answers_and_falls_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Unsteady()
    registry.put("dln", 1, answers(UNIT))
    monkeypatch.setattr("registry.versions.resolve", registry.resolve)
    monkeypatch.setattr("registry.versions.load", registry.load)
    monkeypatch.setattr("registry.promotion.journal.observe", lambda _: None)
    server = ModelServer(poll_seconds=0.0)
    server.follow("dln")
    assert until(lambda: server.loaded("dln"))
    known: set[str | None] = set()

    def ask() -> bool:
        known.update(server.problem("dln") for _ in range(ASKED))
        return len(known) > 1

    assert until(ask)
    server.close()
    for each in known - {None}:
        assert str(each).startswith("No answer from the registry since ")
        assert str(each).endswith(f"; serving dln, version 1. {SILENT}")
