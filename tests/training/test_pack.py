"""Packing a starter: refusals are one sentence and an exit code."""

from pathlib import Path

import pytest

from registry.measurements import Measurement
from tests.registry.conftest import Register, register, tiny  # noqa: F401
from training.engine.tracking import Metric, Tracker, curves
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


def test_the_curves_of_a_run_are_its_losses_thinned_out_without_what_was_measured(
    fresh_store: Path,
) -> None:
    assert fresh_store.is_dir()
    measured = Measurement(split="test", set="ferplus", metric="triplet_accuracy", value=0.5)
    with Tracker(files.DLN, files.DLN) as run:
        run.measurements([measured])
        run.commit([Metric.now(measured.name, 0.5, 7)])
        run.commit([Metric(key="loss", value=1 / (n + 1), step=n, timestamp=n) for n in range(450)])
    points = curves(run.run_id)
    assert {point.key for point in points} == {"loss"}
    assert [point.step for point in points] == list(range(0, 450, 3))
    assert all(point.value == 1 / (point.step + 1) for point in points)
