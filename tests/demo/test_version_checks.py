"""Versions that are not validated are marked or refused, and broken ones are tagged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from demo.models import ModelServer
from demo.predictors import EmotionRecognizer, read_photo_with_faces
from demo.tabs.context import PageContext
from registry.catalog import EMOTION
from registry.errors import Unreachable
from registry.faces import FaceCropper
from registry.promotion import validation
from tests.demo.fakes import FakeRegistry, answers
from tests.demo.test_models import UNIT, number, raises, until

GOOD = answers(UNIT)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer(poll_seconds=0.02)
    yield server
    server.close()


@pytest.fixture
def strict() -> Iterator[ModelServer]:
    server = ModelServer(poll_seconds=0.02, only_validated=True)
    yield server
    server.close()


def even(faces: Tensor) -> Mapping[str, Tensor]:
    return {"logits": torch.zeros(len(faces), 8)}


def tag(registry: FakeRegistry, name: str, **tags: str | None) -> None:
    version = registry.production[name]
    assert not isinstance(version, Exception)
    registry.production[name] = replace(version, **tags)


def test_a_version_that_is_not_validated_answers_with_a_mark_until_it_is(
    registry: FakeRegistry, server: ModelServer, people: list[str]
) -> None:
    registry.put("emotion", 1, even)
    tag(registry, "emotion", validation=None)
    photo = read_photo_with_faces(people[0], FaceCropper())
    context, recognizer = PageContext(server=server, mlflow_url=None), EmotionRecognizer(server)
    (answer,) = recognizer.recognise(photo)
    html = context.answer_html(EMOTION, "A face", "", answer.provenance)
    assert "version 1 <b>(not validated)</b>" in html
    assert "Version 1 of emotion is not validated" in context.problem_html(EMOTION)
    assert "python -m registry promote emotion 1" in context.problem_html(EMOTION)
    assert not answer.to_dict()["validated"]
    tag(registry, "emotion", validation="failed", validation_reason="<b>It is slow</b>.")
    assert until(lambda: "&lt;b&gt;It is slow&lt;/b&gt;" in context.problem_html(EMOTION))
    tag(registry, "emotion", validation="passed")
    assert until(lambda: context.problem_html(EMOTION) == "")
    (answer,) = recognizer.recognise(photo)
    assert "not validated" not in context.answer_html(EMOTION, "A face", "", answer.provenance)
    assert registry.loads == [("emotion", 1)]


def test_only_validated_refuses_it_until_it_is(registry: FakeRegistry, strict: ModelServer) -> None:
    registry.put("dln", 1, GOOD)
    assert number(strict) == 1
    registry.put("dln", 2, GOOD)
    tag(registry, "dln", validation=None)
    assert until(lambda: strict.problem("dln"))
    problem = strict.problem("dln") or ""
    assert problem.startswith("Version 2 of dln is in production but not validated")
    assert "--only-validated" in problem
    assert problem.endswith("Until then version 1 answers.")
    polls = registry.resolved
    assert until(lambda: registry.resolved > polls + 5)
    assert (number(strict), registry.loads) == (1, [("dln", 1)])
    tag(registry, "dln", validation="passed")
    assert until(lambda: number(strict) == 2, seconds=3)
    assert strict.problem("dln") is None


def test_starters_count_as_validated(registry: FakeRegistry, strict: ModelServer) -> None:
    registry.put("dln", 1, GOOD)
    tag(registry, "dln", validation=None, starter="a1b2")
    assert number(strict) == 1
    assert strict.unvalidated("dln") is None


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, str]]:
    """Return the validations that were written: number, status and reason."""
    written: list[tuple[int, str, str]] = []
    monkeypatch.setattr(
        validation, "write", lambda version, *rest: written.append((version.number, *rest))
    )
    return written


def test_a_broken_version_is_tagged_with_the_sentence_of_the_banner(
    registry: FakeRegistry, server: ModelServer, written: list[tuple[int, str, str]]
) -> None:
    registry.put("dln", 1, GOOD)
    assert number(server) == 1
    registry.put("dln", 2, raises)
    assert until(lambda: written)
    ((failed, status, reason),) = written
    assert (failed, status) == (2, "failed")
    assert until(lambda: server.problem("dln") == f"{reason} Until then version 1 answers.")
    registry.put("emotion", 3, even)
    tag(registry, "emotion", labels=("cheerful", *EMOTION.labels[1:]))
    server.follow("emotion")
    assert until(lambda: len(written) == 2)
    assert "has the label cheerful, which emotion lacks" in written[1][2]


def raising(error: Exception) -> Callable[[Tensor], Mapping[str, Tensor]]:
    def network(_faces: Tensor) -> Mapping[str, Tensor]:
        raise error

    return network


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("Failed to allocate memory for requested buffer of size 7"),
        RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"),
        OSError(28, "No space left on device"),
    ],
)
def test_what_a_machine_lacks_is_no_fault_of_the_version(
    registry: FakeRegistry,
    server: ModelServer,
    written: list[tuple[int, str, str]],
    error: Exception,
) -> None:
    registry.put("dln", 1, raising(error))
    server.follow("dln")
    assert until(lambda: server.problem("dln"))
    polls = registry.resolved
    assert until(lambda: registry.resolved > polls + 2)
    registry.production["emotion"] = Unreachable("The server is down.")
    server.follow("emotion")
    assert until(lambda: server.problem("emotion"))
    assert written == []


def test_a_store_that_cannot_be_written_does_not_end_the_watcher(
    registry: FakeRegistry, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unreachable("The database is read-only.")

    monkeypatch.setattr(validation, "write", refuse)
    registry.put("dln", 1, raises)
    server.follow("dln")
    assert until(lambda: server.problem("dln"))
    assert "shapes cannot be multiplied" in str(server.problem("dln"))
    registry.put("dln", 2, GOOD)
    assert until(lambda: server.problem("dln") is None)
    assert number(server) == 2
