"""A tracking server that is down ends a training with a sentence; one that dies loses nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch import nn

from registry import store, versions
from tests.conftest import unused_port
from tests.field.mlflow_server import MlflowServer, mlflow_server
from tests.training.engine.line import STEPS, LineTask
from training.__main__ import main

pytestmark = pytest.mark.xdist_group("trainings")
TRAIN = ["train", "line", "--seed"]


def at_step(line: type[LineTask], step: int, act: Callable[[], None]) -> None:
    def before(at: int, _: nn.Module) -> None:
        if at == step:
            act()

    line.before_step = staticmethod(before)


def slopes(run_id: str) -> list[int]:
    history = store.connect().get_metric_history(run_id, "validation/line/slope")
    return [metric.step for metric in history]


@pytest.fixture
def server(
    line: type[LineTask], fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MlflowServer]:
    assert line
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with mlflow_server(fresh_store / "mlflow.db") as server:
        yield server


def test_a_server_that_is_down_at_the_start_is_one_sentence(
    line: type[LineTask],
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert main([*TRAIN, "131", "--runs", str(runs)]) == 3
    sentence, note = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"The MLflow server {address} does not answer (Connection refused)")
    assert note.startswith("The traceback is in ")
    assert not line.tasks, "nothing was prepared or trained"
    assert not list(runs.glob("line-*"))


def test_a_server_that_dies_and_comes_back_has_everything_in_the_end(
    line: type[LineTask],
    runs: Path,
    server: MlflowServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = [*TRAIN, "132", "--runs", str(runs)]
    at_step(line, STEPS + 2, server.kill)
    assert main(train) == 3
    printed = " ".join(capsys.readouterr().err.split())
    assert "epoch 3/3" in printed, "it trained to its end"
    assert printed.count("The training goes on") == 1, "it is printed once"
    assert "run the same command again to register it" in printed
    assert "Traceback" not in printed

    server.start()
    line.before_step = staticmethod(lambda _step, _line: None)
    assert main(train) == 0
    assert line.tasks[-1].steps == 0, "nothing was trained again"
    (version,) = versions.list_versions()
    assert slopes(version.run_id) == [STEPS, 2 * STEPS, 3 * STEPS]
    assert store.connect().get_run(version.run_id).info.status == "FINISHED"
    assert not list(runs.glob("line-*"))


def test_a_server_that_is_back_before_the_end_gets_what_it_missed(
    line: type[LineTask],
    runs: Path,
    server: MlflowServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def die_or_return(at: int, _: nn.Module) -> None:
        if at == STEPS + 2:
            server.kill()
        elif at == 3 * STEPS:
            server.start()

    line.before_step = staticmethod(die_or_return)
    assert main([*TRAIN, "133", "--runs", str(runs)]) == 0
    assert "MLflow answers again" in capsys.readouterr().err
    (version,) = versions.list_versions()
    assert slopes(version.run_id) == [STEPS, 2 * STEPS, 3 * STEPS]
