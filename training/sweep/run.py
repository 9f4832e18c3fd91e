"""A sweep from the command to the registered version of its best trial."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry import doctor, store, sweeps, versions
from registry.candidates import registered_name
from registry.versions import Version
from training.engine.recipe import RecipeError
from training.recipes import task_of
from training.sweep import results
from training.sweep import study as studies
from training.sweep import trial_states as states
from training.sweep.plan import Plan
from training.sweep.results import TrialResult
from training.sweep.trial import folder_of, remove_checkpoints
from training.sweep.workers import work, work_in_processes
from training.train import train

if TYPE_CHECKING:
    from optuna import Study


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a sweep gave."""

    plan: Plan
    trials: list[TrialResult]
    best: TrialResult | None
    version: Version | None
    """The best trial's; None where no trial was trained to its end, or its network is registered
    with others alone, or lies on another machine."""


def sweep(plan: Plan, workers: int) -> Outcome:
    """Train the trials of a sweep that have not ended yet, and register the best one's network.

    Args:
        plan: the sweep.
        workers: the number of processes; with 1 this process trains.

    Raises:
        RecipeError: the recipe can't run, or the sweep of this name has other settings.
        TrainingError: a training stopped itself, or a process was killed.
        RegistryError: the store doesn't answer, or lacks what the recipe names.
    """
    studies.require_optuna()
    if store.exists():
        store.connect()
        for sentence in doctor.clean_killed():
            print(sentence, file=sys.stderr)
    _require_validation(plan)
    study = studies.open_study(plan)
    plan = _with_run(plan, study)
    with studies.storing(plan), sweeps.running(plan.parent_run):
        show = Progress(plan, study)
        try:
            if workers > 1:
                work_in_processes(plan, workers, show)
            else:
                work(plan, show)
        finally:
            results.log(plan, study)
        remove_checkpoints(plan, study)
        version = _register(plan, study)
    return Outcome(
        plan=plan,
        trials=results.results(study),
        best=results.best_result(study),
        version=version,
    )


class Progress:
    """Prints a line for each trial that has ended since the last call.

    Args:
        plan: the sweep.
        study: its study; the trials that have ended already are not printed.
    """

    def __init__(self, plan: Plan, study: "Study") -> None:
        self.plan = plan
        self.study = study
        self._printed = {each.number for each in states.finished(study)}
        if self._printed:
            print(
                f"The sweep {plan.name} goes on: {len(self._printed)} of {plan.trials} trials have "
                "ended.",
                file=sys.stderr,
            )

    def __call__(self) -> None:
        """Print what is new."""
        ended = states.finished(self.study)
        if len(ended) == len(self._printed):
            return
        best = results.best_result(self.study)
        for trial in ended:
            if trial.number not in self._printed:
                self._printed.add(trial.number)
                result = results.result(self.study, trial)
                print(results.line(result, self.plan, best), file=sys.stderr, flush=True)


def _require_validation(plan: Plan) -> None:
    """Open the data, and check that there is something to compare trials by."""
    if not task_of(plan.recipe).has_validation():
        raise RecipeError(
            "A sweep compares trials by the validation, and this data has no validation face that "
            "can be measured: prepare data with a validation split."
        )


def _with_run(plan: Plan, study: "Study") -> Plan:
    """Return the plan with the sweep's MLflow run, which all calls of the sweep share."""
    spec = task_of(plan.recipe).spec
    experiment = spec.name if spec else plan.recipe_name
    with studies.lock(plan):
        known = study.user_attrs.get(studies.PARENT, "")
        space = {f"range.{name}": str(each) for name, each in plan.space.items()}
        run_id = sweeps.open_run(experiment, plan.name, known, {"recipe": plan.recipe_name} | space)
        if run_id != known:
            study.set_user_attr(studies.PARENT, run_id)
    return replace(plan, parent_run=run_id)


def _register(plan: Plan, study: "Study") -> Version | None:
    """Register the best trial's network from its last checkpoint, unless it is already."""
    found, best = states.best(study), results.best_result(study)
    if found is None or best is None:
        print("No trial was trained to its end: nothing is registered.", file=sys.stderr)
        return None
    spec = task_of(plan.recipe).spec
    known = sweeps.find_best(spec.name, plan.name) if spec else None
    if known is not None and known[1] == best.trial and known[0].run_id == best.run_id:
        return known[0]
    folder = folder_of(plan, study, found)
    if spec is not None and (kept := versions.find(registered_name(spec.name), run_id=best.run_id)):
        version: Version | None = kept  # stopped before it was tagged
    elif folder.is_dir() or states.is_of_this_machine(found):
        recipe = plan.recipe_of(best.trial, best.params)
        version = train(plan.recipe_name, recipe, plan.command_of(best.trial, best.params))
    else:
        print(
            f"Trial {best.trial}, the best, was trained on {states.machine(found)}: the sweep's "
            "command registers it there.",
            file=sys.stderr,
        )
        return None
    if version is not None:
        sweeps.mark(version, plan.name, best.trial)
    return version
