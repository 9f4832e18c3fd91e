"""A sweep whose processes were killed loses no trial, and trains none twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.training.engine.line import LineTask
from tests.training.sweep.conftest import Sweep
from tests.training.sweep.test_sweep import child_runs
from training.__main__ import main
from training.engine.task import TrainingError
from training.sweep import trial_states

pytestmark = [pytest.mark.xdist_group("trainings"), pytest.mark.slow]
OPTIONS = ("--trials", "4", "--name", "killed")
SECONDS = 200


@pytest.mark.timeout(400)
def test_two_killed_workers_are_resumed_from_their_checkpoints(
    line: Path, tmp_path: Path, sweep: Sweep, task: type[LineTask]
) -> None:
    held = tmp_path / "held"
    held.mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.training.sweep.line_sweep", str(line)),
            *(*OPTIONS, "--workers", "2"),
        ],
        env=os.environ | {"SWEEP_HELD": str(held)},
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while len(list(held.iterdir())) < 2:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        workers = [psutil.Process(int(file.name)) for file in held.iterdir()]
    finally:
        process.kill()
        process.wait()
    workers[0].send_signal(signal.SIGKILL)  # the other notices that nobody waits for it
    _, alive = psutil.wait_procs(workers, timeout=SECONDS)
    assert not alive

    found = sweep(*OPTIONS)
    assert [trial["trial"] for trial in found["trials"]] == [0, 1, 2, 3]
    assert {trial["state"] for trial in found["trials"]} <= {"complete", "pruned"}
    assert {*child_runs("killed")} == {"0", "1", "2", "3"}
    assert sum(each.steps for each in task.tasks) < 4 * 16


def test_a_trial_that_failed_and_was_not_queued_again_is_resumed(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, task: type[LineTask]
) -> None:
    def fail(*_: object) -> None:
        raise TrainingError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(task, "before_step", staticmethod(fail))
        patch.setattr(trial_states, "retry", lambda *_: None)  # as if it was killed before
        patch.setattr(trial_states, "mark_worker", lambda _: None)
        assert main(["sweep", "line", *OPTIONS]) == 2
    found = sweep(*OPTIONS)
    assert [trial["trial"] for trial in found["trials"]] == [0, 1, 2, 3]
