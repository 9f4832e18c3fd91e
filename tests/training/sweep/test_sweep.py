"""A sweep trains trials as child runs, registers the best alone, and resumes where it stopped."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow.entities import Run
from torch import nn

from registry import artifacts, store, sweeps, versions
from tests.training.engine.line import LineTask
from tests.training.sweep.conftest import Sweep
from training.__main__ import main
from training.recipes import RECIPES
from training.sweep.plan import Plan
from training.sweep.range_options import space_of
from training.sweep.study import open_study

pytestmark = pytest.mark.xdist_group("trainings")


def child_runs(sweep: str) -> dict[str, Run]:
    """Return the runs of a sweep's trials, by position; each has one alone."""
    found = store.connect().search_runs(
        [store.experiment("dln")], f"tags.sweep = '{sweep}' and tags.sweep_trial != ''"
    )
    by_position = {run.data.tags[sweeps.TRIAL]: run for run in found}
    assert len(by_position) == len(found)
    return by_position


def test_trials_are_child_runs_and_only_the_best_is_registered(
    sweep: Sweep, task: type[LineTask], line: Path
) -> None:
    found = sweep("--trials", "3")
    values = [trial["value"] for trial in found["trials"]]
    best = values.index(max(values))
    assert found["best"]["trial"] == best
    assert len({trial["params"]["learning_rate"] for trial in found["trials"]}) == 3

    (version,) = versions.list_versions("dln")
    assert (found["model"], found["version"]) == ("dln", version.number)
    assert version.run_id == found["trials"][best]["run_id"]
    assert sweeps.best_version("dln", found["sweep"]) == version
    assert f"--seed {best}" in version.description

    children, parent = child_runs(found["sweep"]), store.connect().get_run(found["run_id"])
    assert {*children} == {"0", "1", "2"}
    assert {run.data.tags[sweeps.PARENT] for run in children.values()} == {found["run_id"]}
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    assert parent.data.tags["best.learning_rate"] == str(found["best"]["params"]["learning_rate"])
    table = artifacts.fetch_json(found["run_id"], sweeps.TABLE)
    assert [row[table["columns"].index("value")] for row in table["data"]] == values
    assert sweeps.HISTORY in artifacts.names(found["run_id"], "")
    assert not [folder for folder in line.glob("line-*") if folder.is_dir()]

    trained = sum(each.steps for each in task.tasks)
    assert sweep("--trials", "3") == found
    assert sum(each.steps for each in task.tasks) == trained


def test_a_stopped_sweep_goes_on_as_if_it_had_not_been_stopped(
    sweep: Sweep, task: type[LineTask], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sweep("--trials", "4", "--name", "whole")
    steps, at = 0, 16 + 12  # in the second epoch of the second trial

    def stop(_: int, __: nn.Module) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            raise KeyboardInterrupt

    task.before_step = staticmethod(stop)
    assert main(["sweep", "line", "--trials", "4", "--name", "stopped"]) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert len(versions.list_versions("dln")) == 1

    resumed = sweep("--trials", "4", "--name", "stopped")
    assert [outcome(each) for each in resumed["trials"]] == [
        outcome(each) for each in whole["trials"]
    ]
    assert steps < 16 * 5, "the stopped trial was trained from its checkpoint"
    assert {*child_runs("stopped")} == {"0", "1", "2", "3"}


def outcome(trial: dict[str, Any]) -> tuple[object, ...]:
    return trial["trial"], trial["state"], trial["value"], trial["epochs"], trial["params"]


def test_a_trial_below_the_median_is_pruned_after_an_epoch(sweep: Sweep, line: Path) -> None:
    space = space_of(RECIPES["line"], [])
    plan = Plan(
        name="pruned", recipe_name="line", recipe=RECIPES["line"], space=space, trials=5,
        storage=f"sqlite:///{line / 'sweeps.db'}", arguments=(),
    )  # fmt: skip
    study, rates = open_study(plan), optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True)
    for rate in (0.01, 0.02, 0.03, 0.04):
        study.add_trial(
            optuna.create_trial(
                value=1e6,
                params={"learning_rate": rate},
                distributions={"learning_rate": rates},
                intermediate_values={1: 1e6, 2: 1e6},
            )
        )
    found = sweep("--trials", "5", "--name", "pruned")
    last = found["trials"][4]
    assert (last["state"], last["epochs"]) == ("pruned", 1)
    run = store.connect().get_run(last["run_id"])
    assert (run.info.status, run.data.tags[sweeps.STATE]) == ("KILLED", "pruned")
    assert run.data.metrics["validation/line/slope"] == last["value"]
    assert found["best"]["trial"] == 0, "pruned trials are never the best"
    assert not [folder for folder in line.glob("line-*") if folder.is_dir()]


def test_a_loss_that_is_not_finite_ends_its_trial_alone(sweep: Sweep, task: type[LineTask]) -> None:
    factors = iter([float("nan")])
    task.loss_factor = staticmethod(lambda _: next(factors, 1.0))
    found = sweep("--trials", "2")
    states = [trial["state"] for trial in found["trials"]]
    assert states == ["failed", "complete"]
    assert found["best"]["trial"] == 1


def test_more_trials_continue_a_sweep_and_other_settings_are_refused(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sweep("--trials", "1", "--name", "rates")
    second = sweep("--trials", "2", "--name", "rates")
    assert second["trials"][0] == first["trials"][0]
    assert second["run_id"] == first["run_id"]
    changed = ["sweep", "line", "--trials", "2", "--name", "rates", "--batch-size", "8"]
    assert main(changed) == 2
    error = capsys.readouterr().err
    assert "begun with other settings (batch_size)" in error
    assert "--name" in error
    assert json.loads(json.dumps(second)) == second
