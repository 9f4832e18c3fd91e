"""Which trials of a sweep have ended, are under way, or are still to be done."""

import socket
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

WORKER, FAILURE, RUN, SECONDS = "worker", "failure", "run_id", "seconds"
"""User attributes of a trial: the process that trains it, why it failed, its MLflow run, and how
long it took."""


def mark_worker(trial: "Trial") -> None:
    """Write into a trial that this process trains it."""
    process = psutil.Process()
    trial.set_user_attr(WORKER, [socket.gethostname(), process.pid, process.create_time()])


def retry_dead(study: "Study") -> None:
    """Queue the trials again whose processes have ended; call it while holding `lock`.

    Those of this machine are known by their processes, those of others by their silence. A trial
    that failed and was not queued again, because its process was killed in between, is, too.
    """
    import optuna
    from optuna.storages import RetryHeartbeatStaleTrialCallback
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    repeated = {n for each in trials for n in RetryHeartbeatStaleTrialCallback.retry_history(each)}
    for trial in trials:
        left = trial.state is TrialState.FAIL and not is_finished(trial)
        if left and trial.number not in repeated and _is_dead(trial):
            retry(study, trial.number)

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
