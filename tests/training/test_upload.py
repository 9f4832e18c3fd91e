"""A training without a registry keeps all it would report, and is registered later, once."""

from pathlib import Path
from typing import Any

import pytest

from registry import store, versions
from registry.errors import Unreachable
from tests.conftest import unused_port
from tests.training.engine.conftest import line, runs
from tests.training.engine.line import STEPS, LineTask
from training import train as training
from training.__main__ import main
from training.engine.tracking import Tracker

__all__ = ["line", "runs"]
SLOPES = [STEPS, 2 * STEPS, 3 * STEPS]


@pytest.fixture
def offline(
    line: type[LineTask], runs: Path, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Train where the registry does not answer, and return the training's folder."""
    assert line
    with monkeypatch.context() as patch:
        patch.delenv("EXPRESSION_STUDIO_STORE")
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unused_port()}")
        patch.setattr(store, "connect", refuse)
        assert main(["train", "line", "--offline", "--seed", "191", "--runs", str(runs)]) == 0
    (folder,) = runs.glob("line-*")
    assert not list(fresh_store.glob("artifacts/*"))
    return folder


def refuse(**_: object) -> None:
    raise AssertionError("the store is not needed")


def points(run_id: str) -> list[tuple[int, int]]:
    history = store.connect().get_metric_history(run_id, "validation/line/slope")
    return [(metric.step, metric.timestamp) for metric in history]


def test_an_offline_training_is_uploaded_once(
    offline: Path, runs: Path, line: type[LineTask], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert {"weights.safetensors", "card.json", "metrics.jsonl"} <= {
        file.name for file in offline.iterdir()
    }
    assert main(["upload", "--runs", str(runs)]) == 0
    assert capsys.readouterr().out == f"{offline}\n"
    trained = (offline / "metrics.jsonl").stat().st_mtime_ns // 1_000_000
    assert main(["upload", offline.name, "--runs", str(runs)]) == 0
    assert "Registered dln version 1." in capsys.readouterr().out
    assert line.tasks[-1].steps == 0, "nothing was trained again"
    (version,) = versions.list_versions()
    found = points(version.run_id)
    assert [step for step, _ in found] == SLOPES
    assert all(time <= trained for _, time in found), "the times of the training"
    run = store.connect().get_run(version.run_id)
    assert (run.info.status, run.data.params["seed"]) == ("FINISHED", "191")
    assert not offline.exists()
    assert main(["upload", str(offline)]) == 2
    assert "holds no training" in capsys.readouterr().err


def test_a_training_elsewhere_than_its_command_says_is_not_trained_again(
    offline: Path, tmp_path: Path, line: type[LineTask], capsys: pytest.CaptureFixture[str]
) -> None:
    trained = len(line.tasks)
    moved = offline.rename(tmp_path / "copied")
    assert main(["upload", str(moved)]) == 2
    assert f"trains in {offline.resolve()} and not in {moved}: move" in capsys.readouterr().err
    assert len(line.tasks) == trained
    moved.rename(offline)
    assert main(["upload", str(offline)]) == 0


@pytest.mark.parametrize("method", ["commit", "measurements", "close"])
def test_an_upload_that_is_killed_and_repeated_doubles_nothing(
    offline: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    whole = getattr(Tracker, method)

    def die(*arguments: Any, **options: Any) -> None:
        whole(*arguments, **options)
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, method, die)
        with pytest.raises(SystemExit):
            main(["upload", str(offline)])
    assert main(["upload", str(offline)]) == 0
    (version,) = versions.list_versions()
    assert [step for step, _ in points(version.run_id)] == SLOPES
    experiment = store.connect().get_experiment_by_name("dln")
    assert experiment is not None
    (run,) = store.connect().search_runs([experiment.experiment_id])
    assert run.info.run_id == version.run_id
    inputs = [each.dataset.name for each in run.inputs.dataset_inputs]
    assert len(inputs) == len(set(inputs)) == 3


def test_a_training_that_could_not_be_registered_is_uploaded(
    line: type[LineTask], runs: Path, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh_store.is_dir()

    def fail(*_: object, **__: object) -> None:
        raise Unreachable("The server is down.")

    with monkeypatch.context() as patch:
        patch.setattr(training, "_register", fail)
        assert main(["train", "line", "--seed", "192", "--runs", str(runs)]) == 3
    (folder,) = runs.glob("line-*")
    assert main(["upload", str(folder)]) == 0
    assert line.tasks[-1].steps == 0
    (version,) = versions.list_versions()
    assert [step for step, _ in points(version.run_id)] == SLOPES


def test_a_recipe_that_starts_from_a_version_is_refused_offline(
    line: type[LineTask], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "line", "--offline", "--start", "dln/1", "--runs", str(runs)]) == 2
    assert "This recipe needs dln/1 from the registry" in capsys.readouterr().err
    assert not line.tasks
