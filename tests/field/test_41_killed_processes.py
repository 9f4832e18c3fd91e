"""What a killed process leaves is named, and cleaned by `registry doctor` or the next start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelStatus

from registry import doctor, store, versions
from registry.__main__ import main
from tests.registry.conftest import Register
from training.engine.tracking import Tracker

TRAIN = """
import sys
from training.engine.tracking import Tracker
tracker = Tracker("dln", "killed")
print(tracker.run_id, flush=True)
sys.stdin.read()
"""
REGISTER = """
import os, signal, sys
from registry.graphs import export
from registry import registration
from tests.registry.conftest import CROP, SPEC, Tiny
from training.engine.tracking import Tracker

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

owner = registration if sys.argv[1] == "_create_version" else export
setattr(owner, sys.argv[1], killed)
with Tracker("dln", "killed") as tracker:
    registration.register(
        SPEC, Tiny().eval(), crop=CROP, run_id=tracker.run_id, config={}, description="Tiny"
    )
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(store.PROJECT)},
        text=True,
    )


def status(run_id: str) -> str:
    return str(store.connect().get_run(run_id).info.status)


def test_a_run_counts_as_running_only_while_its_process_lives(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start(TRAIN) as process:
        assert process.stdout
        run_id = process.stdout.readline().strip()
        assert main(["doctor", "--fix"]) == 0
        assert capsys.readouterr().out == "No killed program left anything.\n"
        assert doctor.clean_killed() == []
        assert status(run_id) == "RUNNING"
        process.kill()
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"Run {run_id} (killed) counts as running: its process was killed." in printed
    assert "python -m registry doctor --fix" in printed
    assert status(run_id) == "RUNNING", "without --fix nothing is changed"

    assert doctor.clean_killed() == [f"Run {run_id} (killed) is ended now; its process was killed."]
    assert status(run_id) == "KILLED"
    assert doctor.leftovers() == doctor.clean_killed() == []
    with Tracker("dln", "killed", run_id):
        assert status(run_id) == "RUNNING", "a training that is resumed goes on in its run"
        assert doctor.leftovers() == []
    assert status(run_id) == "FINISHED"
    assert not list((fresh_store / "in-progress").iterdir())


@pytest.mark.parametrize("killed_in", ["check_stored", "_create_version"])
def test_a_registration_that_was_killed_is_deleted_with_its_files(
    register: Register, fresh_store: Path, capsys: pytest.CaptureFixture[str], killed_in: str
) -> None:
    kept = register()
    files = {path for path in fresh_store.rglob("*") if path.suffix == ".pt2"}
    with start(REGISTER, killed_in) as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert {path for path in fresh_store.rglob("*") if path.suffix == ".pt2"} > files
    assert main(["doctor", "--fix"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("was deleted") == printed.count("is ended now") == 1
    assert {path for path in fresh_store.rglob("*") if path.suffix == ".pt2"} == files
    assert versions.load(f"dln/{kept.number}").version.number == kept.number
    assert [leftover for leftover in doctor.leftovers() if leftover.is_killed] == []


def test_runs_and_models_of_other_programs_are_named_and_left_alone(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, experiment = store.connect(), store.experiment("mine")
    run_id = client.create_run(experiment, run_name="by\x1b[2J hand").info.run_id
    model = client.create_logged_model(experiment, "mine", source_run_id=run_id)
    assert main(["doctor", "--fix"]) == 0
    printed = capsys.readouterr().out
    assert f"Run {run_id} (by\\x1b[2J hand) counts as running; if nothing writes to it" in printed
    assert f"Model {model.model_id} (mine) was stored in part" in printed
    assert status(run_id) == "RUNNING"
    assert client.get_logged_model(model.model_id).status == LoggedModelStatus.PENDING
    assert fresh_store.is_dir()
