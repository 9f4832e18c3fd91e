"""The folder of a training: one process at a time, the same data, and room to write."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq
import pytest
from filelock import FileLock, Timeout
from torch import nn

from tests.training.engine.line import LineRecipe, LineTask
from training.__main__ import main
from training.engine.recipe import RecipeError
from training.engine.run_folder import RunFolder, run_folder
from training.engine.task import TrainingError
from training.recipes import RECIPES
from training.train import train

pytestmark = pytest.mark.xdist_group("trainings")

HOLD = """
import sys
from pathlib import Path
from training.engine.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Let another process hold the lock of a folder, and yield its id."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    assert holder.stdout.readline() == "locked\n"
    try:
        yield holder.pid
    finally:
        holder.communicate()


@pytest.fixture
def data(runs: Path, tmp_path: Path) -> Path:
    """Return a prepared set that a test may change."""
    shutil.copytree(runs / "toy", tmp_path / "data", ignore=shutil.ignore_patterns("cache"))
    return tmp_path / "data"


def test_the_same_command_is_refused_while_another_process_runs_it(
    line: type[LineTask], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder("line", replace(RECIPES["line"], seed=77))
    with held(folder) as process:
        assert main(["train", "line", "--seed", "77", "--runs", str(runs)]) == 2
    message = capsys.readouterr().err
    assert f"is running already (process {process} on " in message
    assert str(folder) in message
    assert not line.tasks
    assert main(["train", "line", "--seed", "77", "--runs", str(runs)]) == 0
    assert not folder.exists()


def test_a_process_that_finishes_during_the_check_is_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_out(lock: FileLock, **_: object) -> NoReturn:
        raise Timeout(str(lock.lock_file))

    monkeypatch.setattr(FileLock, "acquire", time_out)
    with (
        pytest.raises(RecipeError, match=r"is running already \(another process\)"),
        RunFolder(tmp_path / "line").locked(),
    ):
        pass


def test_a_training_does_not_resume_with_changed_data(
    line: type[LineTask], recipe: LineRecipe, data: Path
) -> None:
    recipe = replace(recipe, toy=False, data=(data,))
    line.stop_at(5)
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    index = pq.read_table(data / "index.parquet")
    pq.write_table(index.slice(1), data / "index.parquet")
    line.stop_at(None)
    with pytest.raises(RecipeError, match=f"{data} changed since this training began"):
        train("line", recipe, "")
    folder = run_folder("line", recipe)
    resumed = replace(recipe, epochs=4, resume_from=folder)
    with pytest.raises(RecipeError, match=f"{data} changed since the training of {folder}/step-"):
        train("line", resumed, "")
    pq.write_table(index, data / "index.parquet")
    assert train("line", recipe, "") is not None


def test_a_folder_of_runs_that_cannot_be_written_is_named(
    line: type[LineTask], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match=r"file/runs/line-\w+ can't be written \(\w+"):
        train("line", LineRecipe(runs=tmp_path / "file" / "runs"), "")
    assert not line.tasks


def test_a_data_folder_that_cannot_be_written_is_named(
    data: Path, runs: Path, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "cache").touch()
    options = ["--no-toy", "--data", str(data), "--runs", str(runs)]
    assert main(["train", "emotion-smoke", *options]) == 2
    message = capsys.readouterr().err
    assert f"{data / 'cache'}" in message
    assert "Traceback" not in message
    assert fresh_store.is_dir()


@pytest.mark.parametrize(
    ("limit_bytes", "averaging"),
    [(3_000_000, 0.0), (8_001_000, 0.5)],
    ids=["safetensors cannot write the weights", "torch cannot write the average"],
)
def test_a_full_disk_keeps_the_last_checkpoint_and_is_reported(
    line: type[LineTask], recipe: LineRecipe, limit_bytes: int, averaging: float
) -> None:
    recipe = replace(recipe, averaging=averaging)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step: int, _: nn.Module) -> None:
        if step == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))

    line.unused = 2_000_000
    line.before_step = staticmethod(fill)
    try:
        with pytest.raises(
            TrainingError, match=r"step 6 .*File too large.* step-000000003"
        ) as error:
            train("line", recipe, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "the last one is step-000000003" in str(error.value)
    folder = run_folder("line", recipe)
    assert [each.name for each in folder.glob("step-*")] == ["step-000000003"]


def test_space_is_checked_before_a_checkpoint_is_written(
    line: type[LineTask], recipe: LineRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(recipe.runs)._replace(free=15_000_000)
    line.unused = 2_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(TrainingError, match=r"step 3 .*\(No space left on device\).* is none"):
        train("line", recipe, "")
