"""End to end: toy faces, train, register, promote, predict; each step by its command.

Those of training run in this process: to import PyTorch once more takes as long as their work.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from training.__main__ import main

Command = Callable[..., str]


@pytest.fixture
def training(fresh_store: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command of training in this process, and return what it printed."""
    assert fresh_store.is_dir()

    def training(*command: str) -> str:
        status, printed = main(list(command)), capsys.readouterr()
        assert status == 0, f"{command}\n{printed.out}\n{printed.err}"
        return printed.out

    return training


def run(*command: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        timeout=200, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def outcomes(store: Path, model: str) -> pd.DataFrame:
    """Return the outcome of each item that `evaluate` stored with version 1."""
    (file,) = (store / "artifacts" / model).rglob("evaluation/test-toy-version-1.parquet")
    return pd.read_parquet(file)


@pytest.mark.timeout(400)
def test_from_toy_faces_to_an_answer_about_a_photo(
    training: Command, fresh_store: Path, tmp_path: Path, examples: Path
) -> None:
    photo = str(sorted(examples.glob("*.jpg"))[0])
    runs = ("--runs", str(tmp_path / "runs"))
    training("train", "dln-smoke", *runs, "--epochs", "1")
    run("registry", "promote", "dln", "1")
    trained = training(
        "train", "emotion-smoke", *runs, "--start", "models:/dln@production",
        "--epochs", "1",
    )  # fmt: skip
    assert "Registered emotion version 1." in trained
    assert "python -m registry promote emotion 1" in trained
    run("registry", "promote", "emotion", "1")
    shown = " ".join(run("registry", "show", "emotion@production").split())
    assert "production" in shown
    assert shown.index("dln-smoke --runs") < shown.index("emotion-smoke --runs")

    toy = str(tmp_path / "runs" / "toy")
    evaluated = training("evaluate", "dln", toy)
    items = outcomes(fresh_store, "dln")
    accuracy = items["right"][items["kind"] == "triplet"].mean()
    assert f"test/toy/triplet_accuracy  {accuracy:.4f}" in evaluated
    assert f"test, toy: two class {accuracy:.2%} of 120, all {accuracy:.2%} of 120" in evaluated
    evaluated = training("evaluate", "emotion", toy)
    faces = outcomes(fresh_store, "emotion")
    accuracy = (faces["answer"] == faces["emotion"]).mean()
    assert f"test/toy/accuracy  {accuracy:.4f}" in evaluated
    card = " ".join(run("registry", "show", "emotion").split())
    assert f"accuracy {accuracy:.3f} (" in card

    (face,) = json.loads(run("demo", "emotion", photo, "--json", "--face", "1"))
    assert face["version"] == 1
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    answer = json.loads(run("demo", "compare", photo, photo, photo, "--json"))
    assert answer["distances"] == pytest.approx([0, 0, 0], abs=1e-3)
