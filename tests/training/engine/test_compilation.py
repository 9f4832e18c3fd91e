"""torch.compile in a training, and a training that goes on where it doesn't work."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.engine.line import LineRecipe, LineTask
from training.engine.compilation import mode_of
from training.engine.loop import Loop

pytestmark = pytest.mark.xdist_group("trainings")


@pytest.fixture(autouse=True)
def stance() -> Iterator[None]:
    """Let networks compile again after a test that gave up."""
    yield
    torch.compiler.set_stance("default")


def trained(recipe: LineRecipe, line: type[LineTask], folder: Path) -> tuple[Loop, torch.Tensor]:
    loop = Loop("line", recipe, line(recipe), folder)
    loop.run()
    assert loop.tracker
    loop.tracker.close()
    return loop, loop.trained_networks()["line"].get_parameter("line.weight").detach()


def test_auto_compiles_only_on_a_gpu() -> None:
    assert mode_of("auto", "cpu") is None
    assert mode_of("auto", "cuda") == "default"
    assert mode_of("no", "cuda") is None
    assert mode_of("reduce-overhead", "cpu") == "reduce-overhead"


def compile_by(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch.compile give its graphs to a function instead of a compiler."""
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **_: compiled(f, backend=backend))


def test_compiled_networks_train_like_others_and_are_stored_by_the_same_names(
    line: type[LineTask], recipe: LineRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = []

    def keep(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    _, expected = trained(recipe, line, tmp_path / "plain")
    compile_by(keep, monkeypatch)
    loop, found = trained(replace(recipe, compile="default"), line, tmp_path / "compiled")
    assert len(graphs) == 1, "validation must not compile the network again"
    assert loop.compilation.active
    assert torch.equal(found, expected)


def test_a_training_goes_on_where_the_compiler_fails_and_says_so(
    line: type[LineTask],
    recipe: LineRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("there is no compiler")

    _, expected = trained(recipe, line, tmp_path / "plain")
    compile_by(fail, monkeypatch)
    loop, found = trained(replace(recipe, compile="default"), line, tmp_path / "compiled")
    message = " ".join(capsys.readouterr().err.split())
    assert "torch.compile doesn't work here" in message
    assert "the training goes on without" in message
    assert not loop.compilation.active
    assert torch.equal(found, expected)
