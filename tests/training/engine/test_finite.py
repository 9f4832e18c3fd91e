"""Losses and weights that aren't finite stay out of checkpoints and versions."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import nn

from registry import versions
from tests.training.engine.line import STEPS, LineRecipe, LineTask
from training.engine.checkpoint import Checkpoints, checkpoint_in
from training.engine.recipe import RecipeError
from training.engine.run_folder import run_folder
from training.engine.task import TrainingError
from training.train import train

pytestmark = pytest.mark.xdist_group("trainings")


def failed(recipe: LineRecipe, sentence: str) -> Path:
    """Train until it fails, and return the checkpoint that the message names."""
    with pytest.raises(TrainingError, match=sentence) as error:
        train("line", recipe, "")
    named = re.search(r"--resume-from (\S+)", str(error.value))
    assert named
    return Path(named[1])


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_a_nan_loss_stops_the_training_after_the_last_finite_checkpoint(
    line: type[LineTask], recipe: LineRecipe, averaging: float
) -> None:
    recipe = replace(recipe, averaging=averaging)
    line.loss_factor = staticmethod(lambda step: math.nan if step >= STEPS else 1.0)
    last = failed(recipe, f"train/line_loss is no longer finite at step {STEPS}")
    assert last.name == "step-000000006"
    assert last == Checkpoints(run_folder("line", recipe)).latest()
    assert all(value.isfinite().all() for value in load_file(last / "model.safetensors").values())
    assert not versions.list_versions("dln")


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_an_infinite_weight_with_a_finite_loss_gets_into_no_checkpoint(
    line: type[LineTask], recipe: LineRecipe, averaging: float
) -> None:
    recipe = replace(recipe, averaging=averaging)

    def spoil(step: int, network: nn.Module) -> None:
        if step == 5:
            network.get_parameter("unused").data.fill_(math.inf)

    line.before_step = staticmethod(spoil)
    sentence = "^line.unused is no longer finite at step 6"
    assert failed(recipe, sentence).name == "step-000000003"


def test_a_training_resumes_from_a_checkpoint_with_another_learning_rate(
    line: type[LineTask], recipe: LineRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(recipe, averaging=0.5)
    line.loss_factor = staticmethod(lambda step: math.nan if step >= STEPS else 1.0)
    checkpoint = failed(recipe, "is no longer finite")
    line.loss_factor = staticmethod(lambda _: 1.0)
    weight = load_file(checkpoint / "model.safetensors")["line.weight"]
    still = replace(recipe, averaging=0.0, learning_rate=0.0, resume_from=checkpoint)
    train("line", still, "")
    err = capsys.readouterr().err
    assert "Resuming from step 6, epoch 1." in err
    assert f"line/slope {float(weight):.4f}" in err, "the weights of the checkpoint, at rate 0"

    for resume_from in (checkpoint, checkpoint.parent):
        train("line", replace(recipe, learning_rate=1e-4, resume_from=resume_from), "")
        assert line.tasks[-1].steps == 3 * STEPS - 6
    assert len(versions.list_versions("dln")) == 3


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path, recipe: LineRecipe) -> None:
    with pytest.raises(RecipeError, match="holds no checkpoint to resume from"):
        checkpoint_in(tmp_path)
    with pytest.raises(RecipeError, match="holds no checkpoint to resume from"):
        train("line", replace(recipe, resume_from=tmp_path), "")
