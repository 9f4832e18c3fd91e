"""Trainings that are killed, stopped and resumed: the real command in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from registry import store, versions

TRAIN = [
    sys.executable, "-m", "training", "train", "dln-smoke",
    "--epochs", "3", "--batch-size", "24", "--checkpoint-steps", "2",
]  # fmt: skip


def start(runs: Path, folder: Path, *fields: str) -> subprocess.Popen[str]:
    environment = os.environ | {"EXPRESSION_STUDIO_STORE": str(folder)}
    return subprocess.Popen(
        [*TRAIN, "--runs", str(runs), *fields], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kill_after_a_checkpoint(training: subprocess.Popen[str], runs: Path) -> None:
    deadline = time.monotonic() + 120
    while not list(runs.glob("dln-smoke-*/step-*[0-9]")):
        assert training.poll() is None, training.stderr and training.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    training.send_signal(signal.SIGKILL)
    training.wait()


def history(number: int) -> dict[str, list[tuple[int, float]]]:
    client = store.connect()
    run = versions.resolve(f"dln/{number}").run_id
    keys = [k for k in client.get_run(run).data.metrics if not k.startswith("system/")]
    return {k: [(m.step, m.value) for m in client.get_metric_history(run, k)] for k in keys}


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.mark.timeout(400)
def test_a_killed_training_ends_with_the_weights_and_metrics_of_an_unbroken_one(
    tmp_path: Path, own_store: Path
) -> None:
    out, err = start(tmp_path / "unbroken", own_store).communicate(timeout=180)
    assert "Registered dln version 1." in out, err
    broken = start(tmp_path / "broken", own_store)
    kill_after_a_checkpoint(broken, tmp_path / "broken")
    out, err = start(tmp_path / "broken", own_store).communicate(timeout=180)
    assert "Going on from step" in err
    assert "Registered dln version 2." in out, err
    first, second = versions.weights("dln/1"), versions.weights("dln/2")
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert history(1) == history(2)
    assert len(history(1)["validation/triplet_accuracy"]) == 3
    assert not list((tmp_path / "broken").glob("dln-smoke-*"))


def test_a_recipe_without_data_says_what_to_do(own_store: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "training", "train", "dln-compact"],
        capture_output=True, text=True, timeout=120,
        env=os.environ | {"EXPRESSION_STUDIO_STORE": str(own_store)}, check=False,
    )  # fmt: skip
    assert said.returncode == 2
    assert "python -m training prepare" in said.stderr
    assert "Traceback" not in said.stderr
