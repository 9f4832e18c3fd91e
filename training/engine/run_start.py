"""The MLflow run of a training: opened, found again, described."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from training.engine import origin, runs, tracking
from training.engine.checkpoint import Progress
from training.engine.event_log import EventLog
from training.engine.task import Task
from training.engine.tracking import PRECISION, RUN_FOLDER, TRAINING, Tracker


def open_events(
    name: str, task: Task, folder: Path, progress: Progress, show: Callable[[str], None]
) -> EventLog:
    """Open the run of a training, and return what logs to it.

    A new run is made if the training has none yet, or it was deleted meanwhile. A training that ran
    without a store, or was killed while it was uploaded, gets all that its folder holds; its run is
    found by a tag. `progress` is updated.

    Raises:
        RegistryError: the store doesn't answer.
    """
    experiment, known = (task.spec.name if task.spec else name), origin.read(folder)
    identifier = known.identifier if known else ""
    run_id = progress.run_id if progress.run_id and tracking.is_active(progress.run_id) else ""
    if not run_id and progress.step and identifier:
        run_id = runs.run_of(experiment, identifier)
    tracker = Tracker(experiment, name, run_id, {TRAINING: identifier} if identifier else {})
    events = EventLog(folder, tracker, show)
    if run_id != progress.run_id or not run_id:
        _describe(name, task, folder, progress.precision, tracker)
        if progress.run_id:
            show(f"Run {progress.run_id} was deleted in MLflow; this is a new one.")
        if progress.step:
            events.add(progress.pending)
            progress.pending = events.metrics(progress.step)
    progress.run_id = tracker.run_id
    return events


def _describe(name: str, task: Task, folder: Path, precision: str, tracker: Tracker) -> None:
    tracker.describe(name, asdict(task.recipe), task.sets)
    tracker.tag(RUN_FOLDER, folder.name)
    tracker.tag(PRECISION, precision)
    sheet = task.sheet()
    if sheet is not None:
        tracker.picture(sheet, "faces.png")
