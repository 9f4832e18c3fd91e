"""The whole way: toy faces, train, register, promote, predict; each step by its real command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(400)
def test_from_toy_faces_to_an_answer_about_a_photo(tmp_path: Path, examples: Path) -> None:
    environment = os.environ | {"EXPRESSION_STUDIO_STORE": str(tmp_path / "store")}
    photo = str(sorted(examples.glob("*.jpg"))[0])

    def run(*command: str) -> str:
        said = subprocess.run(
            [sys.executable, "-m", *command], env=environment, timeout=200,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert said.returncode == 0, f"{command}\n{said.stdout}\n{said.stderr}"
        return said.stdout

    runs = ("--runs", str(tmp_path / "runs"))
    run("training", "train", "dln-smoke", *runs)
    run("registry", "promote", "dln", "1")
    said = run(
        "training", "train", "emotion-smoke", *runs, "--start", "models:/dln@production",
        "--epochs", "1",
    )  # fmt: skip
    assert "Registered emotion version 1." in said
    assert "python -m registry promote emotion 1" in said
    run("registry", "promote", "emotion", "1")
    shown = " ".join(run("registry", "show", "emotion@production").split())
    assert "production" in shown
    assert shown.index("dln-smoke --runs") < shown.index("emotion-smoke --runs")

    judged = run("training", "evaluate", "dln", str(tmp_path / "runs" / "toy"))
    accuracy = float(judged.split("test/toy/triplet_accuracy  ")[1].split()[0])
    assert f"test, toy: two class {accuracy:.2%} of 120, all {accuracy:.2%} of 120" in judged
    measured = run("training", "evaluate", "emotion", str(tmp_path / "runs" / "toy"))
    assert 0 <= float(measured.split("test/toy/accuracy")[1].split()[0]) <= 1

    (face,) = json.loads(run("demo", "emotion", photo, "--json", "--face", "1"))
    assert face["version"] == 1
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    answer = json.loads(run("demo", "compare", photo, photo, photo, "--json"))
    assert answer["distances"] == pytest.approx([0, 0, 0], abs=1e-3)
