"""Packing a starter: refusals are one sentence and an exit code."""

from pathlib import Path

import pytest

from tests.registry.conftest import Register, register, tiny  # noqa: F401
from training.engine.tracking import Tracker
from training.pack import main
from training.starters import files


def test_a_version_without_a_card_is_refused(
    register: Register,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    register()
    assert main(["dln/1"]) == 2
    assert "The run of dln/1 has no card" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["dln/1", "dln@production"])
def test_a_version_that_is_not_there_is_refused(
    fresh_store: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fresh_store.is_dir()
    assert main([source]) == 3
    assert "No version of dln is registered" in capsys.readouterr().err


def test_a_run_that_is_not_there_or_has_no_weights_is_refused(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fresh_store.is_dir()
    assert main(["0" * 32]) == 2
    assert "has no card" in capsys.readouterr().err
    run = Tracker(files.IDENTITY, files.IDENTITY)
    run.card({"recipe": files.IDENTITY})
    run.close()
    assert main([run.run_id]) == 2
    assert f"Run {run.run_id} has no weights" in capsys.readouterr().err
