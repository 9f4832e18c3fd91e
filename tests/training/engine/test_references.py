"""A recipe's references to versions are resolved once, when its training begins."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from registry import promotion, store, versions
from registry.errors import EmptyRegistry
from tests.training.engine.line import LineRecipe, LineTask, Target, register
from training.datasets.prepared import PreparedError
from training.engine.checkpoint import checkpoint_in
from training.engine.recipe import with_fields
from training.engine.references import references
from training.engine.run_folder import RunFolder, run_folder
from training.models.emotion.config import SMOKE
from training.models.pix2pixhd.config import Pix2pixHDRecipe
from training.train import train

pytestmark = pytest.mark.xdist_group("trainings")


def test_references_are_found_by_their_type_in_nested_configs_too() -> None:
    recipe = LineRecipe(start="dln", target=Target(teacher="dln@production"))
    assert references(recipe) == {"start": "dln", "target.teacher": "dln@production"}
    assert references(LineRecipe()) == {}
    changed = with_fields(recipe, {"target.teacher": "dln/7"})
    assert changed == LineRecipe(start="dln", target=Target(teacher="dln/7"))
    assert references(Pix2pixHDRecipe(start="pix2pixhd/1")) == {
        "encoder": "dln@production",
        "start": "pix2pixhd/1",
    }


def test_references_in_a_tuple_are_found_and_replaced_by_their_place() -> None:
    recipe = replace(SMOKE, teachers=("emotion@production", "emotion/2"))
    assert references(recipe) == {"teachers.0": "emotion@production", "teachers.1": "emotion/2"}
    changed = with_fields(recipe, {"teachers.0": "emotion/7", "teachers.1": "emotion/3"})
    assert changed == replace(recipe, teachers=("emotion/7", "emotion/3"))


def test_an_alias_that_moves_during_a_training_keeps_its_first_version(
    line: type[LineTask], recipe: LineRecipe
) -> None:
    register()
    register()
    promotion.promote("dln", 1)
    recipe = replace(recipe, start="dln", target=Target(teacher="models:/dln@production"))
    line.stop_at(5)
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    promotion.promote("dln", 2)
    line.stop_at(None)
    version = train("line", recipe, "")
    assert version is not None
    assert [(r.start, r.target.teacher) for r in (task.recipe for task in line.tasks)] == [
        ("dln/1", "dln/1")
    ] * 2
    config = versions.config(f"dln/{version.number}")
    assert (config["start"], config["teacher"]) == ("dln/1", "dln/1")
    assert store.connect().get_run(version.run_id).data.params["start"] == "dln/1"

    line.stop_at(1)
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    assert line.tasks[-1].recipe.start == "dln/2", "the training above is finished, this is another"


def test_an_alias_counts_as_it_was_at_the_first_attempt_that_left_a_checkpoint(
    line: type[LineTask], recipe: LineRecipe, runs: Path, tmp_path: Path
) -> None:
    register()
    register()
    promotion.promote("dln", 1)
    recipe = replace(recipe, start="dln", toy=False, data=(tmp_path / "data",))
    folder = RunFolder(run_folder("line", recipe))
    with folder.locked():
        folder.resolve(recipe)  # an attempt that is killed here leaves its folder
    assert (folder.path / "references.json").is_file()
    with pytest.raises(PreparedError, match="isn't a prepared set"):
        train("line", recipe, "")
    assert not folder.path.exists(), "a refused attempt leaves none"

    with folder.locked():
        folder.resolve(recipe)
    promotion.promote("dln", 2)
    shutil.copytree(runs / "toy", tmp_path / "data", ignore=shutil.ignore_patterns("cache"))
    line.stop_at(5)
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    assert line.tasks[-1].recipe.start == "dln/2"
    assert folder.path.exists()


def test_a_copied_checkpoint_knows_what_an_alias_was_when_its_training_began(
    line: type[LineTask], recipe: LineRecipe, tmp_path: Path
) -> None:
    register()
    register()
    promotion.promote("dln", 1)
    recipe = replace(recipe, start="dln")
    line.stop_at(5)
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    shutil.copytree(checkpoint_in(run_folder("line", recipe)), tmp_path / "copy")
    promotion.promote("dln", 2)
    with pytest.raises(KeyboardInterrupt):
        train("line", replace(recipe, resume_from=tmp_path / "copy"), "")
    assert line.tasks[-1].recipe.start == "dln/1"


def test_a_reference_to_nothing_is_refused_before_anything_is_trained(
    line: type[LineTask], recipe: LineRecipe
) -> None:
    with pytest.raises(EmptyRegistry, match="No version of dln"):
        train("line", replace(recipe, start="dln/3"), "")
    assert not line.tasks
