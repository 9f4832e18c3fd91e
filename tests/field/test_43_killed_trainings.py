"""A training that is killed while it writes a checkpoint resumes from the one before."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from benchmarks import kills
from tests.field.test_43_accidents_of_trainings import slopes
from tests.training.engine.line import STEPS, LineRecipe, LineTask
from training.engine.run_folder import run_folder
from training.train import train

pytestmark = pytest.mark.xdist_group("kills")
SEED = 43


def train_and_die(folder: Path) -> None:
    """Train a line and be killed with the third checkpoint half written."""
    from accelerate import Accelerator

    from training.recipes import TASKS

    TASKS[LineRecipe] = LineTask  # type: ignore[index]
    save_state, saved = Accelerator.save_state, []

    def kill_in_the_third(accelerator: Accelerator, checkpoint: str) -> None:
        saved.append(checkpoint)
        save_state(accelerator, checkpoint)
        if len(saved) == 3:
            file = Path(checkpoint) / "model.safetensors"
            os.truncate(file, file.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    Accelerator.save_state = kill_in_the_third  # type: ignore[method-assign]
    train("line", LineRecipe(runs=folder / "runs", seed=SEED), "")


def test_a_training_killed_inside_a_checkpoint_resumes_to_the_same_numbers(
    line: type[LineTask], runs: Path, tmp_path: Path
) -> None:
    recipe = LineRecipe(runs=tmp_path / "runs", seed=SEED)
    shutil.copytree(runs, recipe.runs)
    (tmp_path / "tmp").mkdir()
    assert kills.run(train_and_die, tmp_path, 120) == -signal.SIGKILL
    left = sorted(path.name for path in run_folder("line", recipe).glob("step-*"))
    assert left == ["step-000000003", "step-000000006", "step-000000008.part"]
    resumed = train("line", recipe, "")
    assert resumed is not None
    assert line.tasks[-1].steps == 3 * STEPS - 6
    assert not run_folder("line", recipe).exists()
    unbroken = train("line", recipe, "")
    assert unbroken is not None
    assert slopes(resumed) == slopes(unbroken)
