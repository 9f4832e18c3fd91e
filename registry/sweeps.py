"""A sweep in the store: the run over those of its trials, and the version of its best trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry import candidates, entries, store, versions
from registry.console import printable
from registry.entries import Version
from registry.errors import BadVersion
from registry.store import in_progress, records
from registry.store.record_types import Entry

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

SWEEP, TRIAL, STATE = "sweep", "sweep_trial", "sweep_state"
"""Tags of runs, and of the version of the best trial: the sweep's name, the trial's position from
0, and how the trial ended."""
PARENT = "mlflow.parentRunId"
"""MLflow's tag of a run that belongs to another one."""
RUN_NAME = "mlflow.runName"
TABLE, HISTORY = "trials.json", "history.png"
"""Artifacts of the sweep's run: all trials, and the objective of each as a picture."""


@dataclass(frozen=True, kw_only=True)
class TrialValue:
    """The objective of one trial."""

    position: int
    value: float
    ended_ms: int
    """Milliseconds since 1970, UTC."""


def tags_of_trial(sweep: str, position: int, parent: str) -> dict[str, str]:
    """Return the tags of a trial's run.

    Args:
        sweep: the sweep's name.
        position: the trial's, from 0.
        parent: the sweep's run.
    """
    title = f"{sweep} {position}"
    return {SWEEP: sweep, TRIAL: str(position), PARENT: parent, RUN_NAME: title}


def open_run(experiment: str, sweep: str, known: str, params: Mapping[str, str]) -> str:
    """Return the run of a sweep; a new one where it has none, or it was deleted.

    Args:
        experiment: name of its experiment.
        sweep: the sweep's name.
        known: the run of an earlier call, or empty.
        params: what is varied, for a new run.

    Raises:
        Unreachable: the store does not answer.
    """
    from mlflow.entities import Param

    if known and store.is_active(known):
        return known
    client, experiment_id = store.connect(create=True), store.experiment(experiment)
    with store.answering():
        run = client.create_run(experiment_id, run_name=sweep, tags={SWEEP: sweep})
        client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in params.items()])
    return str(run.info.run_id)


@contextmanager
def running(run_id: str) -> Iterator[None]:
    """Let a sweep's run count as running until the block ends, and then as finished or killed.

    Raises:
        Unreachable: the store does not answer.
    """
    client = store.connect()
    with in_progress.working_on("run", run_id):
        with store.answering():
            client.update_run(run_id, "RUNNING")
        status = "KILLED"
        try:
            yield
            status = "FINISHED"
        finally:
            with store.answering():
                client.set_terminated(run_id, status)


def log(
    run_id: str,
    metric: str,
    values: list[TrialValue],
    table: Mapping[str, list[object]],
    best: Mapping[str, str],
    history: "Figure | SubFigure | None",
) -> None:
    """Log what the trials of a sweep gave to its run; what an earlier call logged is replaced.

    Args:
        run_id: the sweep's run.
        metric: the objective's name.
        values: the objective of each trial that has one.
        table: all trials, by column.
        best: what the best trial was trained with; tags, since MLflow's parameters never change.
        history: the objective of each trial.

    Raises:
        Unreachable, Deleted: as for `store.writing`.
    """
    from mlflow.entities import Metric, RunTag

    client = store.connect()
    points = [Metric(metric, each.value, each.ended_ms, each.position) for each in values]
    tags = [RunTag(f"best.{key}", value) for key, value in best.items()]
    with store.writing(f"The table of the sweep's run {run_id}", run_id):
        client.log_batch(run_id, metrics=points, tags=tags)
        client.log_dict(run_id, {"columns": [*table], "data": _rows(table)}, TABLE)
        if history is not None:
            client.log_figure(run_id, history, HISTORY)


def _rows(table: Mapping[str, list[object]]) -> list[list[object]]:
    return [list(row) for row in zip(*table.values(), strict=True)]


def mark(version: Version, sweep: str, position: int) -> None:
    """Tag a version as that of a sweep's best trial.

    Raises:
        Unreachable, Deleted: as for `store.writing`.
    """
    client = store.connect()
    with store.writing(f"The sweep of {version.title}"):
        for key, value in ((SWEEP, sweep), (TRIAL, str(position))):
            client.set_model_version_tag(version.name, str(version.number), key, value)


def find_best(name: str, sweep: str) -> tuple[Version, int] | None:
    """Return the version of a sweep's best trial, and the trial's position; None without one.

    A sweep that went on and found a better trial has several versions; the newest counts.

    Raises:
        BadVersion: it is incomplete.
        Unreachable: the store does not answer.
    """
    for entry in _entries(name):
        if entry.tags.get(SWEEP) == sweep:
            return entries.read(entry), int(entry.tags.get(TRIAL, 0))
    return None


def best_version(name: str, sweep: str) -> Version:
    """Return the version of a sweep's best trial.

    Raises:
        BadVersion: the sweep has none, or there is no such sweep.
        Unreachable: the store does not answer.
    """
    found = find_best(name, sweep)
    if found is not None:
        return found[0]
    if not versions.list_versions(name):
        versions.resolve(name)
    known = sorted({entry.tags[SWEEP] for entry in _entries(name) if SWEEP in entry.tags})
    there_are = f"it has versions of {', '.join(map(printable, known))}" if known else "it has none"
    raise BadVersion(
        f"{name} has no version of a sweep {printable(sweep)} ({there_are}): a sweep registers its "
        "best trial when all have ended; run it to its end first."
    )


def _entries(name: str) -> list[Entry]:
    if not store.exists():
        return []
    with store.answering():
        return records.open_records().entries(candidates.registered_name(name))
