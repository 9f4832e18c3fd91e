"""A server that answers late delays no step of a training."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import nn

from registry import store, versions
from tests.training.engine.line import STEPS, LineTask
from training.__main__ import main
from training.engine.tracking import Metric, Tracker


def test_all_steps_are_done_while_the_server_works_on_its_first_answer(
    line: type[LineTask], runs: Path, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh_store.is_dir()
    last_step, commit = threading.Event(), Tracker.commit
    waited: list[bool] = []

    def before(at: int, _: nn.Module) -> None:
        if at == 3 * STEPS:
            last_step.set()

    def answer_late(tracker: Tracker, metrics: Sequence[Metric]) -> None:
        waited.append(last_step.wait(100))
        commit(tracker, metrics)

    line.before_step = staticmethod(before)
    monkeypatch.setattr(Tracker, "commit", answer_late)
    assert main(["train", "line", "--seed", "195", "--runs", str(runs)]) == 0
    assert all(waited), "the training went on meanwhile"
    (version,) = versions.list_versions()
    history = store.connect().get_metric_history(version.run_id, "validation/line/slope")
    assert [metric.step for metric in history] == [STEPS, 2 * STEPS, 3 * STEPS]
