"""What --range and the other options of a sweep accept, and what they refuse in a sentence."""

import shlex
import sys
from pathlib import Path

import pytest

from training.__main__ import main
from training.engine.recipe import RecipeError
from training.models.dln.config import RECIPES as DLN
from training.models.pix2pixhd.config import RECIPES as PIX2PIXHD
from training.recipes import RECIPES
from training.sweep.plan import Plan
from training.sweep.range_options import space_of
from training.sweep.spaces import FAMILIES, Choice, Range, default_space, value_of
from training.train_arguments import parsed_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_ranges_of_its_own_fields(name: str) -> None:
    recipe = RECIPES[name]
    for field, found in default_space(recipe).items():
        assert found.low < found.high
        assert type(value_of(recipe, field)) is type(found.low)
    assert FAMILIES[type(recipe)].objective.metrics


def test_ranges_replace_the_defaults_and_given_values_are_not_varied() -> None:
    options = [
        *("learning-rate=1e-4:1e-2:log", "epochs=1:3", "optimiser=sgd,adamw"),
        "augmentation.erase=0:0.5",
    ]
    space = space_of(DLN["dln-smoke"], options, given={"margin"})
    assert space["learning_rate"] == Range(1e-4, 1e-2, log=True)
    assert space["epochs"] == Range(1, 3)
    assert space["optimiser"] == Choice(("sgd", "adamw"))
    assert space["augmentation.erase"] == Range(0.0, 0.5)
    assert "margin" not in space
    assert "one_class_margin" in space


@pytest.mark.parametrize("value", [True, False])
def test_the_command_of_a_trial_gives_the_recipe_of_the_trial(value: bool) -> None:
    plan = Plan(
        name="s",
        recipe_name="dln-smoke",
        recipe=DLN["dln-smoke"],
        space={},
        trials=1,
        storage="sqlite://",
        arguments=(),
    )
    values = {"squared_distances": value, "learning_rate": 0.003, "optimiser": "sgd"}
    arguments = shlex.split(plan.command_of(2, values))[4:]
    assert parsed_recipe(arguments) == ("dln-smoke", plan.recipe_of(2, values))


def test_a_loss_that_a_recipe_leaves_out_is_not_varied() -> None:
    assert "losses.pixels" not in default_space(PIX2PIXHD["pix2pixhd"])
    assert "losses.pixels" in default_space(PIX2PIXHD["pix2pixhd-compact"])


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("learning_rat=1:2", "no field learning_rat; by default these are varied: learning_rate"),
        ("losses.pixels=1:2", "no field losses.pixels"),
        ("learning_rate", "can't be read for learning_rate"),
        ("learning_rate=a:b", "no numbers"),
        ("epochs=1.5:2", "no whole numbers"),
        ("learning_rate=2:1", "the first end has to be below the second"),
        ("learning_rate=nan:1", "the first end has to be below the second"),
        ("learning_rate=0:1:log", "has to be above 0"),
        ("learning_rate=1:2:linear", "only `log`"),
        ("optimiser=sgd,adam", "optimiser can't be 'adam'; it is one of"),
        ("seed=1:9", "a sweep can't vary seed"),
        ("margin=0.1:0.2", "margin has a value and a range"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(option: str, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        space_of(DLN["dln-smoke"], [option], given={"margin"})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["dnl"], "There is no recipe dnl; choose from dln"),
        ([], "There is no recipe without a name"),
        (["dln-smoke", "--trials", "0"], "at least 1 trial and 1 worker"),
        (["dln-smoke", "--name", "../x"], "letters, digits, dots"),
        (["dln-smoke", "--storage", "mysql://me:secret@host/db"], "write sqlite:///FILE"),
        (["dln", "--trials", "1"], "needs data"),
    ],
)
@pytest.mark.usefixtures("fresh_store")
def test_bad_options_are_one_sentence(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "secret" not in error
    assert "Traceback" not in error


def test_a_storage_that_can_not_be_opened_is_one_sentence(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line / "file").touch()
    assert main(["sweep", "line", "--storage", f"sqlite:///{line}/file/x.db"]) == 2
    assert "can't be used (" in capsys.readouterr().err


def test_without_optuna_the_extra_is_named(
    line: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line.is_dir()
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["sweep", "line"]) == 2
    assert "uv pip install -e '.[sweep]'" in capsys.readouterr().err
