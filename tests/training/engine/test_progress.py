"""A training's messages and logs: validation, averages, --data with a toy recipe, errors."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry import store
from registry.measurements import from_rows
from tests.training.engine.line import Line, LineRecipe, LineTask
from training.__main__ import main
from training.engine.checkpoint import Progress
from training.engine.loop import Loop
from training.engine.recipe import RecipeError
from training.train import train

pytestmark = pytest.mark.xdist_group("trainings")


class Uncopied(Line):
    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        raise AssertionError("copied")


def run(recipe: LineRecipe, task: LineTask) -> Progress:
    """Run the loop alone, and wait until MLflow has its metrics; nothing is registered."""
    loop = Loop("line", recipe, task)
    try:
        progress = loop.run()
        assert loop.events is not None
        loop.events.finish(progress.pending)
        return progress
    finally:
        if loop.tracker:
            loop.tracker.close()


def test_no_network_is_copied_without_averages(line: type[LineTask], recipe: LineRecipe) -> None:
    task = line(recipe)
    vars(task)["line"] = Uncopied()
    assert run(recipe, task).epoch == recipe.epochs
    averaging = replace(recipe, averaging=0.9)
    task = line(averaging)
    vars(task)["line"] = Uncopied()
    with pytest.raises(AssertionError, match="copied"):
        run(averaging, task)


def test_measurements_of_an_epoch_are_logged_by_their_names_and_stored_as_rows(
    line: type[LineTask], recipe: LineRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = run(recipe, line(recipe))
    (row,) = from_rows(progress.last)
    assert row.name == "validation/line/slope"
    logged = store.connect().get_metric_history(progress.run_id, row.name)
    assert [(each.step, each.value) for each in logged][-1] == (24, row.value)
    assert len(logged) == recipe.epochs
    assert f" s  line/slope {row.value:.4f}\n" in capsys.readouterr().err


def test_a_message_before_the_first_epoch_says_that_no_validation_face_exists(
    line: type[LineTask],
    recipe: LineRecipe,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(runs / "toy", tmp_path / "data")
    index = pq.read_table(tmp_path / "data" / "index.parquet")
    split = pa.array(["train"] * len(index))
    index = index.set_column(index.schema.get_field_index("split"), "split", split)
    pq.write_table(index, tmp_path / "data" / "index.parquet")
    recipe = replace(recipe, toy=False, data=(tmp_path / "data",), epochs=1)
    progress = run(recipe, line(recipe))
    err = capsys.readouterr().err
    assert err.index("no validation face") < err.index("epoch 1/1")
    assert progress.last == []


def test_the_same_message_comes_for_faces_that_the_task_cannot_measure(
    line: type[LineTask], recipe: LineRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unmeasured(line):  # type: ignore[valid-type, misc]
        def has_validation(self) -> bool:
            return False

    progress = run(replace(recipe, epochs=1), Unmeasured(recipe))
    err = capsys.readouterr().err
    assert err.index("no validation face that can be measured") < err.index("epoch 1/")
    assert progress.last == []


def test_data_together_with_drawn_faces_is_refused(
    line: type[LineTask], recipe: LineRecipe, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecipeError, match="add --no-toy"):
        train("line", replace(recipe, data=(runs / "toy",)), "")
    options = ["--data", str(runs / "toy"), "--runs", str(runs), "--seed", "9", "--epochs", "1"]
    assert main(["train", "line", *options]) == 2
    assert "--data would be ignored" in capsys.readouterr().err
    assert main(["train", "line", *options, "--no-toy"]) == 0
    assert line.tasks[-1].sets[0].folder == runs / "toy"


def test_an_error_without_text_is_named_and_its_traceback_is_in_the_log(
    line: type[LineTask], runs: Path, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> NoReturn:
        raise NotImplementedError

    line.before_step = staticmethod(fail)
    assert main(["train", "line", "--runs", str(runs), "--seed", "5"]) == 1
    message, log = capsys.readouterr().err, fresh_store / "logs" / "training.log"
    assert "`python -m training train` failed: NotImplementedError." in message
    assert str(log) in message
    assert "Traceback" not in message
    text = log.read_text()
    assert "Traceback" in text
    assert "in fail" in text
