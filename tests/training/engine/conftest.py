"""A task that trains in a second, known to the commands."""

import shutil
from pathlib import Path

import pytest

from tests.training.engine.line import LineRecipe, LineTask
from training.recipes import RECIPES, SUMMARIES, TASKS


@pytest.fixture(scope="session")
def runs(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs with the drawn faces in it, for all tests."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(drawn, folder / "toy")
    return folder


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch, fresh_store: Path, runs: Path) -> type[LineTask]:
    """Return the task of the recipe `line`, known to `train` in an empty store."""
    assert fresh_store.is_dir()

    class ThisTestsTask(LineTask):
        tasks: list[LineTask] = []  # noqa: RUF012

    monkeypatch.setitem(TASKS, LineRecipe, ThisTestsTask)  # type: ignore[arg-type]
    monkeypatch.setitem(RECIPES, "line", LineRecipe(runs=runs))  # type: ignore[arg-type]
    monkeypatch.setitem(SUMMARIES, "line", "a straight line")
    return ThisTestsTask


@pytest.fixture
def recipe(runs: Path, tmp_path: Path) -> LineRecipe:
    """Return a recipe whose folder no other test shares."""
    return LineRecipe(runs=runs, seed=hash(tmp_path) % 2**31)
