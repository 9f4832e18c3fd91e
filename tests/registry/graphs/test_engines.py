"""The engine that computes a version: by device, by name, or by measurement."""

import logging
from collections.abc import Callable

import numpy as np
import pytest

from registry import versions
from registry.errors import BadEngine
from registry.graphs import engines
from registry.graphs.engines import Candidates, Graph
from tests.registry.conftest import Register

FACE = np.ones((1, 3, 4, 4), np.float32)


class Clock:
    """Stands still between the calls of stubs, however busy the machine is."""

    now = 0.0

    @classmethod
    def perf_counter(cls) -> float:
        return cls.now


class Stub:
    """Doubles its faces, with some error, and takes some time by the clock of the test."""

    device = "cuda"

    def __init__(self, engine: str, seconds: float = 0.0, error: float = 0.0) -> None:
        self.engine = engine
        self.seconds, self.error = seconds, error

    def __call__(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        Clock.now += self.seconds
        return {"expression": 2 * inputs[0] + self.error}


def fails() -> Graph:
    raise RuntimeError("no driver")


def built(stub: Stub) -> Callable[[], Graph]:
    return lambda: stub


SLOW, QUICK = Stub("torch", 0.02), Stub("cuda-graphs")
WRONG, NEARLY = Stub("onnxruntime", error=0.1), Stub("onnxruntime", 0.01, 1e-3)


@pytest.mark.parametrize(
    ("candidates", "chosen", "left_out"),
    [
        ({"torch": built(SLOW), "cuda-graphs": built(QUICK)}, QUICK, []),
        ({"onnxruntime": built(WRONG), "torch": built(SLOW)}, SLOW, ["onnxruntime"]),
        ({"onnxruntime": built(NEARLY), "torch": built(SLOW)}, NEARLY, []),
        ({"torch": built(SLOW), "cuda-graphs": fails}, SLOW, ["cuda-graphs"]),
    ],
)
def test_the_fastest_engine_whose_outputs_are_right_is_chosen(
    candidates: Candidates,
    chosen: Stub,
    left_out: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "time", Clock)
    with caplog.at_level(logging.ERROR):
        assert engines.fastest(candidates, [FACE]) is chosen
    assert [f"The engine {name} is left out." for name in left_out] == caplog.messages


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({}, "its outputs are"),
        ({"a": np.zeros((2, 3))}, r"a is \(2, 3\), not \(1, 3\)"),
        ({"a": np.full((1, 3), np.nan)}, "a differs by nan at batch 1"),
        ({"a": np.full((1, 3), 0.2)}, r"a differs by 0\.2"),
    ],
)
def test_what_makes_outputs_differ_is_named(outputs: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        engines.require_equal(outputs, {"a": np.zeros((1, 3))}, 0.1)


def test_an_engine_can_be_forced_and_a_wrong_name_is_one_sentence(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register()
    monkeypatch.setenv(engines.VARIABLE, "torch")
    assert versions.load(version, "cpu").engine == "torch"
    assert versions.load(version, "cpu", "onnxruntime").engine == "onnxruntime"
    monkeypatch.setenv(engines.VARIABLE, "tensorrt")
    with pytest.raises(BadEngine, match=r"no engine tensorrt: EXPRESSION_STUDIO_ENGINE may be"):
        versions.load(version, "cpu")
    monkeypatch.setenv(engines.VARIABLE, "cuda-graphs")
    with pytest.raises(BadEngine, match=r"on cpu: EXPRESSION_STUDIO_ENGINE may be onnxruntime, t"):
        versions.load(version, "cpu")
