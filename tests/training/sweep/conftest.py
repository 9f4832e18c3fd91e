"""The recipe `line`, known to the commands, in an empty store and an empty folder of runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.engine.line import LineTask
from tests.training.sweep.line_sweep import SweptRecipe
from training.__main__ import main
from training.recipes import RECIPES, SUMMARIES, TASKS

Sweep = Callable[..., dict[str, Any]]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch, fresh_store: Path, drawn: Path, tmp_path: Path) -> Path:
    """Make the recipe known, and return its folder of runs."""
    assert fresh_store.is_dir()
    shutil.copytree(drawn, tmp_path / "runs" / "toy")
    monkeypatch.setitem(RECIPES, "line", SweptRecipe(runs=tmp_path / "runs"))  # type: ignore[arg-type]
    monkeypatch.setitem(SUMMARIES, "line", "a straight line")  # type: ignore[arg-type]
    return tmp_path / "runs"


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch, line: Path) -> type[LineTask]:
    """Return the recipe's task, whose steps this test may change."""
    assert line.is_dir()

    class ThisTestsTask(LineTask):
        tasks: list[LineTask] = []  # noqa: RUF012

    monkeypatch.setitem(TASKS, SweptRecipe, ThisTestsTask)  # type: ignore[arg-type]
    return ThisTestsTask


@pytest.fixture
def sweep(line: Path, capsys: pytest.CaptureFixture[str]) -> Sweep:
    """Return a function that runs a sweep to its end and returns its JSON."""
    assert line.is_dir()

    def run(*options: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["sweep", "line", *options, "--json"]) == 0
        values: dict[str, Any] = json.loads(capsys.readouterr().out)
        return values

    return run
