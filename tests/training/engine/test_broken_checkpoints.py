"""A checkpoint that can't be read is named in one sentence, which says what to do."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from registry import versions
from tests.training.engine.line import LineRecipe, LineTask
from training.engine.checkpoint import Checkpoints
from training.engine.recipe import RecipeError
from training.engine.run_folder import run_folder
from training.engine.task import TrainingError
from training.train import train

pytestmark = pytest.mark.xdist_group("trainings")

BROKEN = [
    ("progress.json", b"{"),
    ("progress.json", b"[]"),
    ("progress.json", b'{"pending": [], "steps": 3}'),
    ("progress.json", b"{}"),
    ("model.safetensors", b"cut"),
    ("custom_checkpoint_0.pkl", b""),
    ("custom_checkpoint_0.pkl", b"no pickle"),
    ("optimizer.bin", b""),
]


@pytest.fixture
def stopped(line: type[LineTask], recipe: LineRecipe) -> list[Path]:
    """Return the two checkpoints of a training that was stopped."""
    line.stop_at(8)
    with pytest.raises(KeyboardInterrupt):
        train("line", recipe, "")
    line.stop_at(None)
    return sorted(run_folder("line", recipe).glob("step-*"))


def test_a_broken_checkpoint_is_named_and_without_it_the_one_before_is_used(
    line: type[LineTask], recipe: LineRecipe, stopped: list[Path]
) -> None:
    older, latest = stopped
    intact = {path: path.read_bytes() for path in latest.iterdir()}
    for name, content in BROKEN:
        (latest / name).write_bytes(content)
        with pytest.raises(
            TrainingError, match=rf"{latest} is broken .*delete that folder.* from {older.name}\."
        ):
            train("line", recipe, "")
        if name != "optimizer.bin":
            with pytest.raises(RecipeError, match=f"{latest} .* is broken .*--resume-from"):
                train("line", replace(recipe, seed=1, resume_from=latest), "")
        (latest / name).write_bytes(intact[latest / name])
    shutil.rmtree(older)
    (latest / "progress.json").write_text("{")
    with pytest.raises(TrainingError, match="then trains from the beginning"):
        train("line", recipe, "")
    shutil.rmtree(latest)
    assert Checkpoints(latest.parent).latest() is None
    assert train("line", recipe, "") is not None
    assert len(versions.list_versions("dln")) == 1
    assert line.tasks[-1].steps == 24
