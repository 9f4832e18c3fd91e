"""A sweep's study in Optuna: its storage, its sampler, and which trials are still to be done."""

import socket
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from filelock import FileLock

from registry.addresses import without_userinfo
from registry.errors import first_line
from training.engine.recipe import RecipeError
from training.sweep.plan import Plan

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler, TPESampler
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

MISSING = "A sweep needs Optuna: install it with `pip install 'expression-studio[sweep]'`."
SETTINGS, PARENT = "settings", "parent_run"
"""User attributes of a study: what all calls of the sweep agree on, and its MLflow run."""
WORKER, FAILURE, RUN, SECONDS = "worker", "failure", "run_id", "seconds"
"""User attributes of a trial: the process that trains it, why it failed, its MLflow run, and how
long it took."""
COMPARED_TRIALS = 4
"""No trial is pruned before so many have finished."""


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        RecipeError: it isn't.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise RecipeError(MISSING) from error


def open_study(plan: Plan) -> "Study":
    """Open the study of a sweep; it is made where there is none.

    Raises:
        RecipeError: the storage can't be used, or the sweep of this name has other settings.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning

    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with storing(plan), _drivers(plan):
        study = optuna.create_study(
            study_name=plan.name,
            storage=_storage(plan),
            sampler=_sampler(plan.recipe.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=COMPARED_TRIALS),
            direction="maximize" if plan.objective.greater_is_better else "minimize",
            load_if_exists=True,
        )
        known = study.user_attrs.get(SETTINGS)
        if known is None:
            study.set_user_attr(SETTINGS, plan.settings)
    _require_same(plan, known or plan.settings)
    return study


@contextmanager
def storing(plan: Plan) -> Iterator[None]:
    """Turn a failure of the storage into one sentence.

    Raises:
        RecipeError: it can't be reached, read or written.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise RecipeError(
            f"The storage of the sweep, {without_userinfo(plan.storage)}, can't be used "
            f"({first_line(error.__cause__ or error)}): mend that and run the same command again."
        ) from error


@contextmanager
def _drivers(plan: Plan) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise RecipeError(
            f"The storage {without_userinfo(plan.storage)} needs psycopg: install it with "
            "`pip install 'expression-studio[server]'`."
        ) from error


def _storage(plan: Plan) -> "RDBStorage":
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    local = plan.storage.startswith("sqlite:")
    if local:
        plan.recipe.runs.mkdir(parents=True, exist_ok=True)
    return RDBStorage(
        plan.storage,
        engine_kwargs={"connect_args": {"timeout": 60}} if local else {"pool_pre_ping": True},
        heartbeat_interval=max(1, plan.stale_seconds // 6),
        grace_period=plan.stale_seconds,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
            inherit_intermediate_values=True
        ),
    )


def _require_same(plan: Plan, known: dict[str, Any]) -> None:
    now = plan.settings
    parts = [
        name
        for part in now
        for name in now[part].keys() | known[part].keys()
        if now[part].get(name) != known[part].get(name)
    ]
    if parts:
        raise RecipeError(
            f"The sweep {plan.name} was begun with other settings ({', '.join(sorted(parts))}): "
            "give this one another --name, or repeat the earlier command to continue that one."
        )


@contextmanager
def lock(plan: Plan) -> Iterator[None]:
    """Let one process at a time, on any machine, decide which trial comes next."""
    if plan.storage.startswith("sqlite:"):
        with FileLock(plan.recipe.runs / f"{plan.name}.lock"):
            yield
        return
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    key = {"key": zlib.crc32(plan.name.encode())}
    with create_engine(plan.storage, poolclass=NullPool).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
        yield  # the lock ends with the connection


def mark_worker(trial: "Trial") -> None:
    """Write into a trial that this process trains it."""
    process = psutil.Process()
    trial.set_user_attr(WORKER, [socket.gethostname(), process.pid, process.create_time()])


def retry_dead(study: "Study") -> None:
    """Queue the trials again whose processes have ended; call it while holding `lock`.

    Those of this machine are known by their processes, those of others by their silence.
    """
    import optuna
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(trial):
            study.tell(trial.number, state=TrialState.FAIL)
            retry(study, trial.number)
    optuna.storages.fail_stale_trials(study)


def retry(study: "Study", number: int) -> None:
    """Queue a failed trial again: with the same values, so that it resumes its training."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    again = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
    again(study, study.trials[number])


def _is_dead(trial: "FrozenTrial") -> bool:
    if WORKER not in trial.user_attrs:
        return True  # it was killed before it let the lock go
    host, pid, started = trial.user_attrs[WORKER]
    if host != socket.gethostname():
        return False
    try:
        return bool(psutil.Process(pid).create_time() != started)
    except psutil.NoSuchProcess:
        return True


class Due(NamedTuple):
    """What is left to do of a sweep."""

    now: bool
    """Whether a trial can begin."""
    running: bool
    """Whether processes train trials."""


def due(study: "Study", trials: int) -> Due:
    """Return what is left to do; call it while holding `lock`.

    Args:
        study: the sweep's.
        trials: how many there will be in all.
    """
    from optuna.trial import TrialState

    found = study.get_trials(deepcopy=False)
    states = [trial.state for trial in found]
    running = states.count(TrialState.RUNNING)
    waiting = TrialState.WAITING in states
    ended = sum(map(is_finished, found))
    return Due(now=waiting or ended + running < trials, running=running > 0)


def machine(trial: "FrozenTrial") -> str:
    """Return the name of the machine that trained a trial."""
    return str(trial.user_attrs.get(WORKER, [""])[0])


def is_of_this_machine(trial: "FrozenTrial") -> bool:
    """Return whether a trial was trained on this machine."""
    return machine(trial) == socket.gethostname()


def position(study: "Study", trial: "FrozenTrial") -> int:
    """Return which trial of the sweep this is, from 0; a trial that is tried again keeps its own.

    Optuna's numbers count every attempt.
    """
    first = _original(trial)
    others = study.get_trials(deepcopy=False)
    return sum(each.number < first and _original(each) == each.number for each in others)


def _original(trial: "FrozenTrial") -> int:
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    number = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if number is None else number


def is_finished(trial: "FrozenTrial") -> bool:
    """Return whether a trial counts: it ended, was pruned, or its numbers were no longer finite."""
    from optuna.trial import TrialState

    if trial.state is TrialState.FAIL:
        return FAILURE in trial.user_attrs
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def finished(study: "Study") -> list["FrozenTrial"]:
    """Return the trials that count, in the order of their positions."""
    found = [each for each in study.get_trials(deepcopy=False) if is_finished(each)]
    return sorted(found, key=_original)


def best(study: "Study") -> "FrozenTrial | None":
    """Return the best trial; None where none was trained to its end."""
    from optuna.trial import TrialState

    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return study.best_trial if ended else None


def _sampler(seed: int) -> "BaseSampler":
    """Return Optuna's TPE sampler, seeded anew for each trial by its position."""
    from optuna.samplers import BaseSampler, TPESampler

    class NumberedSampler(BaseSampler):
        """Draws the same values for a trial whether or not the sweep was stopped before it."""

        def infer_relative_search_space(
            self, study: "Study", trial: "FrozenTrial"
        ) -> dict[str, "BaseDistribution"]:
            return _tpe(study, trial).infer_relative_search_space(study, trial)

        def sample_relative(
            self, study: "Study", trial: "FrozenTrial", search_space: dict[str, "BaseDistribution"]
        ) -> dict[str, Any]:
            return _tpe(study, trial).sample_relative(study, trial, search_space)

        def sample_independent(
            self,
            study: "Study",
            trial: "FrozenTrial",
            param_name: str,
            param_distribution: "BaseDistribution",
        ) -> Any:
            sampler = _tpe(study, trial, param_name)
            return sampler.sample_independent(study, trial, param_name, param_distribution)

    def _tpe(study: "Study", trial: "FrozenTrial", name: str = "") -> "TPESampler":
        key = f"{seed}/{position(study, trial)}/{name}"
        return TPESampler(seed=zlib.crc32(key.encode()))

    return NumberedSampler()
