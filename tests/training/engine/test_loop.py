"""Trainings that are killed, stopped and resumed: the real command in a process of its own."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from registry import store, versions
from registry.artifacts import fetch
from registry.catalog import EMOTIONS
from training.__main__ import main
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.engine.optimisers import RunningAverage
from training.recipes import RECIPES, task_of

pytestmark = pytest.mark.xdist_group("trainings")

TRAIN = [
    "train", "dln-smoke",
    "--epochs", "2", "--batch-size", "24", "--checkpoint-steps", "2", "--precision", "bf16",
    "--averaging", "0.9",
]  # fmt: skip
EPOCH_STEPS = 8


def start(runs: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "training", *TRAIN, "--runs", str(runs)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kill_in_the_second_epoch(training: subprocess.Popen[str], runs: Path) -> None:
    deadline = time.monotonic() + 240
    while not list(runs.glob(f"dln-smoke-*/step-{EPOCH_STEPS + 2:09d}")):
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


@pytest.fixture(scope="module")
def folder(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the store in use and of the trainings' checkpoints."""
    folder = tmp_path_factory.mktemp("trainings")
    (folder / "store").mkdir()
    shutil.copy(migrated, folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder / "store"))
        yield folder


@pytest.fixture(scope="module")
def unbroken(folder: Path) -> versions.Version:
    assert main([*TRAIN, "--runs", str(folder / "unbroken")]) == 0
    return versions.resolve("dln/1")


@pytest.mark.timeout(400)
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one(
    folder: Path, unbroken: versions.Version, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "unbroken" / "toy", folder / "broken" / "toy")  # drawn once for both
    broken = start(folder / "broken")
    kill_in_the_second_epoch(broken, folder / "broken")
    capsys.readouterr()
    assert main([*TRAIN, "--runs", str(folder / "broken")]) == 0
    printed = capsys.readouterr()
    assert "Resuming from step" in printed.err
    assert "Registered dln version 2." in printed.out
    first, second = versions.weights("dln/1"), versions.weights("dln/2")
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert history(unbroken.number) == history(2)
    assert len(history(2)["validation/toy/triplet_accuracy"]) == 2
    assert not list((folder / "broken").glob("dln-smoke-*"))


def test_a_run_shows_its_data_and_its_recipe(
    folder: Path, unbroken: versions.Version, tmp_path: Path
) -> None:
    client = store.connect()
    run = client.get_run(unbroken.run_id)
    toy = Prepared.open(folder / "unbroken" / "toy")
    given = {each.dataset.name: each for each in run.inputs.dataset_inputs}
    assert given.keys() == {"toy train", "toy validation", "toy test"}
    assert {each.dataset.digest for each in given.values()} == {toy.digest[:36]}
    tags = {tag.key: tag.value for tag in given["toy test"].tags}
    assert tags["mlflow.data.context"] == "test"
    assert json.loads(tags["emotions"]) == dict.fromkeys(EMOTIONS, 6)
    assert json.loads(tags["triplets"]) == {"TWO_CLASS_TRIPLET": 120}
    report = fetch(unbroken.run_id, "data/toy/report.md", tmp_path).read_text()
    assert toy.digest in report
    assert unbroken.data == {"toy": toy.digest}
    assert run.data.params["recipe"] == "dln-smoke"
    assert run.data.params["batch_size"] == "24"
    recipe = json.loads(fetch(unbroken.run_id, "config.json", tmp_path).read_text())
    assert recipe["network"]["backbone"]["name"] == "compact"
    card = json.loads(fetch(unbroken.run_id, "card.json", tmp_path).read_text())
    assert "--batch-size 24" in card["command"]
    with Image.open(fetch(unbroken.run_id, "faces.png", tmp_path)) as sheet:
        assert sheet.width > 300


def test_faces_of_persons_are_logged_only_with_log_faces(folder: Path, tmp_path: Path) -> None:
    prepare("toy", None, tmp_path / "people")
    recipe = replace(RECIPES["dln-compact"], data=(tmp_path / "people",), runs=folder)
    assert task_of(recipe).sheet() is None
    assert task_of(replace(recipe, log_faces=True)).sheet() is not None


def test_a_recipe_without_data_says_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.is_dir()
    assert main(["train", "dln-compact"]) == 2
    printed = capsys.readouterr().err
    assert "python -m training prepare" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("keep", [0.9, 0.999])
def test_the_average_of_the_weights_forgets_the_initial_weights(keep: float) -> None:
    network = torch.nn.BatchNorm1d(1)
    average = RunningAverage(network, keep)
    average.update_parameters(network)
    assert network.running_var is not None
    network.running_var.fill_(0.0)
    for _ in range(100):
        average.update_parameters(network)
    assert float(average.module.running_var) < 1e-6
    assert network.num_batches_tracked is not None
    network.num_batches_tracked.fill_(1455)
    for _ in range(100):
        average.update_parameters(network)
        assert int(average.module.num_batches_tracked) == 1455
    network.running_var.fill_(1.0)
    average.update_parameters(network)
    assert float(average.module.running_var) == pytest.approx(max(1 - keep, 9 / 211), rel=0.02)
