"""Accidents while a network is trained: a full disk, a clock that jumps."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from torch import nn

from registry import store, versions
from tests.field.file_sizes import largest_file
from tests.training.engine.line import STEPS, LineRecipe, LineTask
from training.__main__ import main
from training.train import train

pytestmark = pytest.mark.xdist_group("trainings")


def slopes(version: versions.Version) -> dict[int, float]:
    history = store.connect().get_metric_history(version.run_id, "validation/line/slope")
    return {metric.step: metric.value for metric in sorted(history, key=lambda each: each.step)}


@pytest.mark.parametrize("size_bytes", [0, 1_000, 30_000, 200_000])
def test_wherever_the_disk_is_full_the_same_command_ends_the_work_later(
    line: type[LineTask],
    runs: Path,
    fresh_store: Path,
    capsys: pytest.CaptureFixture[str],
    size_bytes: int,
) -> None:
    command = ["train", "line", "--seed", str(size_bytes), "--runs", str(runs)]
    with largest_file(size_bytes):
        assert main(command) in (2, 3)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err + printed.out
    assert versions.list_versions() == []
    with closing(sqlite3.connect(fresh_store / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert main(command) == 0, capsys.readouterr().err
    (version,) = versions.list_versions()
    assert list(slopes(version)) == [STEPS, 2 * STEPS, 3 * STEPS]
    assert line.tasks


@pytest.mark.parametrize("jump_seconds", [-86_400, 86_400 * 365])
def test_a_clock_that_jumps_changes_nothing(
    line: type[LineTask], runs: Path, monkeypatch: pytest.MonkeyPatch, jump_seconds: int
) -> None:
    jumped = []
    now, now_ns = time.time, time.time_ns

    def jump(step: int, _: nn.Module) -> None:
        if step == STEPS + 2:
            jumped.append(step)
        if step == 2 * STEPS + 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "time", lambda: now() + bool(jumped) * jump_seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + bool(jumped) * jump_seconds * 10**9)
    line.before_step = staticmethod(jump)
    recipe = LineRecipe(runs=runs, seed=abs(jump_seconds))
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    line.before_step = staticmethod(lambda _step, _line: None)
    version = train("line", recipe, "")
    assert version is not None
    assert line.tasks[-1].steps < 2 * STEPS, "it resumed from its last checkpoint"
    found = slopes(version)
    assert list(found) == [STEPS, 2 * STEPS, 3 * STEPS]
    latest = store.connect().get_run(version.run_id).data.metrics["validation/line/slope"]
    assert latest == found[3 * STEPS]
