"""What a killed process leaves is named, and cleaned by `registry doctor` or the next start."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelStatus

from benchmarks import kills
from registry import doctor, registration, store, versions
from registry.__main__ import main
from registry.graphs import export
from tests.field.mlflow_server import mlflow_server
from tests.registry.conftest import CROP, SPEC, Register, Tiny
from training.engine.tracking import Tracker

pytestmark = pytest.mark.xdist_group("kills")
TRAIN = """
import sys
from training.engine.tracking import Tracker
tracker = Tracker("dln", "killed")
print(tracker.run_id, flush=True)
sys.stdin.read()
"""


def register_and_die(where: str, _folder: Path) -> None:
    """Be killed within a registration, where it calls a function."""

    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(registration if where == "_create_version" else export, where, killed)
    with Tracker("dln", "killed") as tracker:
        registration.register(
            SPEC, Tiny().eval(), crop=CROP, run_id=tracker.run_id, config={}, description="Tiny"
        )


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
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
    (fresh_store.parent / "tmp").mkdir()
    status = kills.run(partial(register_and_die, killed_in), fresh_store.parent, 120)
    assert status == -signal.SIGKILL
    assert {path for path in fresh_store.rglob("*") if path.suffix == ".pt2"} > files
    assert main(["doctor", "--fix"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("was deleted") == printed.count("is ended now") == 1
    assert {path for path in fresh_store.rglob("*") if path.suffix == ".pt2"} == files
    assert versions.load(f"dln/{kept.number}").version.number == kept.number
    assert [leftover for leftover in doctor.leftovers() if leftover.is_killed] == []


def test_runs_and_models_of_other_programs_are_left_alone_until_they_are_named(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, experiment = store.connect(), store.experiment("mine")
    run_id = client.create_run(experiment, run_name="by\x1b[2J hand").info.run_id
    model = client.create_logged_model(experiment, "mine", source_run_id=run_id).model_id
    assert main(["doctor", "--fix"]) == 0
    printed = capsys.readouterr().out
    assert f"Run {run_id} (by\\x1b[2J hand) counts as running; if nothing writes to it" in printed
    assert f"Model {model} (mine) was stored in part" in printed
    assert status(run_id) == "RUNNING"
    assert client.get_logged_model(model).status == LoggedModelStatus.PENDING
    for identifier in (run_id, model):
        assert f"`python -m registry doctor --clean {identifier}`" in printed
        assert main(["doctor", "--clean", identifier]) == 0
    assert "is ended now." in capsys.readouterr().out
    assert status(run_id) == "KILLED"
    assert doctor.leftovers() == []
    assert main(["doctor", "--clean", run_id]) == 2
    assert "No program left a run or model" in capsys.readouterr().err
    assert fresh_store.is_dir()


def test_on_a_server_a_run_is_named_with_the_command_that_ends_it(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mlflow_server(fresh_store / "mlflow.db"):
        run_id = store.connect().create_run(store.experiment("dln")).info.run_id
        assert main(["doctor", "--fix"]) == 0
        command = f"python -m registry doctor --clean {run_id}"
        assert f"`{command}` ends it." in capsys.readouterr().out
        assert status(run_id) == "RUNNING", "its program may live on another machine"
        assert main(command.split()[3:]) == 0
        assert status(run_id) == "KILLED"


def test_a_version_whose_process_was_killed_after_it_was_registered_keeps_its_files(
    register: Register, fresh_store: Path
) -> None:
    version = register()
    source = store.connect().get_model_version(version.name, str(version.number)).source
    marked = fresh_store / "in-progress" / f"model-{source.removeprefix('models:/')}"
    marked.touch()
    assert doctor.clean_killed() == []
    assert not marked.exists()
    assert versions.load(version, "cpu").version == version
