"""One trial of a sweep: a training that reports each validation and may be stopped by Optuna."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import sweeps
from registry.errors import RegistryError, first_line
from registry.measurements import from_rows
from training.engine.loop import Loop
from training.engine.recipe import Recipe
from training.engine.run_folder import RunFolder
from training.engine.task import NotFinite, Task
from training.recipes import task_of
from training.sweep import trial_states as states
from training.sweep.plan import Plan

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

logger = logging.getLogger(__name__)


class TrialLoop(Loop):
    """The loop of a training that is a trial: its run is a child, its validations are reported.

    Args:
        plan: the sweep.
        trial: Optuna's trial.
        tags: of the MLflow run.
        recipe: the trial's, its references resolved.
        task: the trial's.
        folder: of the checkpoints.
    """

    def __init__(
        self,
        plan: Plan,
        trial: "Trial",
        tags: Mapping[str, str],
        recipe: Recipe,
        task: Task,
        folder: Path,
    ) -> None:
        super().__init__(plan.recipe_name, recipe, task, folder)
        self.plan = plan
        self.trial = trial
        self.tags = tags
        self.is_tagged = False

    def _commit(self) -> None:
        if self.tracker and not self.is_tagged:
            for key, value in self.tags.items():
                self.tracker.tag(key, value)
            self.trial.set_user_attr(states.RUN, self.tracker.run_id)
            self.is_tagged = True
        super()._commit()

    def _validate(self) -> None:
        super()._validate()
        import optuna

        epoch = self.progress.epoch
        self.trial.report(self.value(), epoch)
        if epoch < self.recipe.epochs and self.trial.should_prune():
            self._log_rest()
            raise optuna.TrialPruned

    def value(self) -> float:
        """Return the objective of the last validation."""
        return self.plan.value_of(from_rows(self.progress.last))

    def train(self) -> float:
        """Train to the end and return the objective; the run ends, however the training does.

        Raises:
            TrialPruned: Optuna stopped it.
            NotFinite, TrainingError, RecipeError, RegistryError: as for `Loop.run`.
        """
        import optuna

        status, state = "FAILED", "failed"
        try:
            self.run()
            self._log_rest()
            status, state = "FINISHED", "complete"
            return self.value()
        except optuna.TrialPruned:
            status, state = "KILLED", "pruned"
            raise
        except KeyboardInterrupt:
            status, state = "KILLED", "stopped"
            raise
        finally:
            self._end(status, state)

    def _end(self, status: str, state: str) -> None:
        if self.tracker is None:
            return
        try:
            self.tracker.tag(sweeps.STATE, state)
        except RegistryError as error:
            logger.warning("How a trial ended is not logged: %s", error)
        self.tracker.close(status)

    def _log_rest(self) -> None:
        assert self.events is not None
        self.events.finish(self.progress.pending)


def run_next(plan: Plan, study: "Study", release: Callable[[], None]) -> None:
    """Train the study's next trial to its end; a trial that a failure or Ctrl-C stops is queued.

    Args:
        plan: the sweep.
        study: its study.
        release: called once other processes may choose their trials.

    Raises:
        TrainingError, RecipeError, RegistryError: the training failed. A loss that is no longer
            finite is no failure: it ends the trial.
    """
    from optuna.trial import TrialState

    started: list[int] = []

    def objective(trial: "Trial") -> float:
        started.append(trial.number)
        states.mark_worker(trial)
        values = {name: each.suggest(trial, name) for name, each in plan.space.items()}
        release()
        return _train(plan, study, trial, values)

    try:
        study.optimize(objective, n_trials=1, catch=(NotFinite,))
    except BaseException:
        for number in started:
            trial = study.trials[number]
            if trial.state is TrialState.FAIL and not states.is_finished(trial):
                states.retry(study, number)
        raise
    remove_checkpoints(plan, study)


def _train(plan: Plan, study: "Study", trial: "Trial", values: Mapping[str, Any]) -> float:
    position = states.position(study, study.trials[trial.number])
    recipe = plan.recipe_of(position, values)
    folder, started = RunFolder(plan.folder_of(position, values)), time.monotonic()
    tags = sweeps.tags_of_trial(plan.name, position, plan.parent_run)
    try:
        with folder.locked():
            resolved = folder.resolve(recipe)
            task = task_of(resolved)
            folder.check_data(task.sets)
            return TrialLoop(plan, trial, tags, resolved, task, folder.path).train()
    except NotFinite as error:
        trial.set_user_attr(states.FAILURE, first_line(error))
        raise
    finally:
        trial.set_user_attr(states.SECONDS, round(time.monotonic() - started, 1))


def remove_checkpoints(plan: Plan, study: "Study") -> None:
    """Remove the checkpoints of the trials that have ended, but for the best one's."""
    best = states.best(study)
    for trial in states.finished(study):
        if best is None or trial.number != best.number:
            shutil.rmtree(folder_of(plan, study, trial), ignore_errors=True)


def folder_of(plan: Plan, study: "Study", trial: "FrozenTrial") -> Path:
    """Return the folder of a trial's checkpoints."""
    return plan.folder_of(states.position(study, trial), trial.params)
