"""bf16 where the machine has units for it, else float32; a warning where it is emulated."""

import os
import platform
import subprocess
import sys
from dataclasses import replace

import pytest

from registry import store
from tests.training.engine.line import LineRecipe, LineTask
from training.engine import precision
from training.engine.loop import Loop
from training.engine.recipe import RecipeError
from training.engine.run_folder import run_folder
from training.recipes import RECIPES

pytestmark = pytest.mark.xdist_group("trainings")


@pytest.fixture(params=[True, False], ids=["units", "no units"])
def units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let all devices have units for bf16, or none."""
    monkeypatch.setattr(precision, "has_bf16_units", lambda _: request.param)
    return bool(request.param)


def test_every_named_recipe_chooses_by_the_machine() -> None:
    found = {name: recipe.precision for name, recipe in RECIPES.items()}
    assert set(found.values()) == {"auto"}, found


def test_auto_is_bf16_only_where_there_are_units(units: bool) -> None:
    used = precision.choose("auto", "cpu")
    assert used == ("bf16" if units else "no")
    assert precision.warning(used, "auto", "cpu") is None


def test_a_precision_asked_for_by_name_is_used_and_its_cost_is_reported(units: bool) -> None:
    assert precision.choose("no", "cpu") == "no"
    assert precision.warning("no", "no", "cpu") is None
    assert precision.choose("bf16", "cpu") == "bf16"
    sentence = precision.warning("bf16", "bf16", "cpu")
    if units:
        assert sentence is None
    else:
        assert sentence
        assert "about 20 times slower" in sentence
        assert "leave --precision out" in sentence


def test_fp16_is_refused_on_a_processor() -> None:
    with pytest.raises(RecipeError, match="fp16 needs a GPU"):
        precision.choose("fp16", "cpu")
    assert precision.choose("fp16", "cuda") == "fp16"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="limits of x86 processors")
def test_a_processor_limited_to_avx2_computes_in_float32() -> None:
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    code = "from training.engine import precision; print(precision.choose('auto', 'cpu'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | limits, text=True,
        capture_output=True, check=True, timeout=100,
    )  # fmt: skip
    assert done.stdout == "no\n"


def stopped(recipe: LineRecipe, line: type[LineTask], at: int) -> None:
    line.stop_at(at)
    loop = Loop("line", recipe, line(recipe))
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert loop.tracker
    loop.tracker.close("KILLED")
    line.stop_at(None)


@pytest.mark.parametrize("began_with_units", [True, False])
def test_a_resumed_training_keeps_its_precision_on_another_machine(
    began_with_units: bool,
    line: type[LineTask],
    recipe: LineRecipe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = replace(recipe, precision="auto")
    monkeypatch.setattr(precision, "has_bf16_units", lambda _: began_with_units)
    stopped(recipe, line, 5)
    assert "no units" not in capsys.readouterr().err
    monkeypatch.setattr(precision, "has_bf16_units", lambda _: not began_with_units)
    loop = Loop("line", recipe, line(recipe))
    progress = loop.run()
    assert loop.tracker
    loop.tracker.close()
    used = "bf16" if began_with_units else "no"
    run = store.connect().get_run(progress.run_id)
    assert run.data.tags["precision"] == used
    assert run.data.params["precision"] == "auto"
    assert progress.precision == used
    message = " ".join(capsys.readouterr().err.split())
    assert "Resuming from step 3" in message
    assert ("this training began with it on another machine" in message) == began_with_units


def test_how_a_training_is_computed_does_not_change_its_folder(recipe: LineRecipe) -> None:
    changed = replace(recipe, compile="no", faces_on_gpu="no")
    assert run_folder("line", changed) == run_folder("line", recipe)
    assert run_folder("line", replace(recipe, precision="bf16")) != run_folder("line", recipe)
