"""What a training reports: kept in its folder, and logged to MLflow as soon as MLflow answers."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from registry.errors import RegistryError, first_line
from registry.files import atomic_write
from training.engine.task import TrainingError
from training.engine.tracking import Metric, Tracker

METRICS, PICTURES = "metrics.jsonl", "pictures"
PAUSE_SECONDS = 60.0
"""Time between two attempts while MLflow doesn't answer, each of which may take as long."""
logger = logging.getLogger(__name__)


class EventLog:
    """The metrics and pictures of one training, in its folder and in its MLflow run.

    A thread sends them, so that no step waits for MLflow. While MLflow doesn't answer, or the run
    was deleted, they stay in the folder and the training goes on; the first failure and the end of
    it are printed.

    Args:
        folder: of the training's checkpoints.
        tracker: the run; None for a training without a store, whose folder keeps everything.
        show: prints a sentence.
    """

    def __init__(self, folder: Path, tracker: Tracker | None, show: Callable[[str], None]) -> None:
        self.folder = folder
        self.tracker = tracker
        self._show = show
        self._thread = ThreadPoolExecutor(1, "event-log")
        self._batch: Future[int] | None = None
        self._failing = False
        self._next_attempt = 0.0

    def add(self, metrics: Sequence[Metric]) -> None:
        """Write metrics into the folder; those of a repeated step replace the earlier ones.

        Raises:
            TrainingError: they can't be written.
        """
        path = self.folder / METRICS
        with self._writing(METRICS), path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(metric)) + "\n" for metric in metrics)

    def metrics(self, last_step: int) -> list[Metric]:
        """Return the metrics up to a step, in the order of the steps.

        A line that a killed process wrote half is left out: its step is repeated.
        """
        found: dict[tuple[str, int], Metric] = {}
        path = self.folder / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            try:
                metric = Metric(**json.loads(line))
            except (TypeError, ValueError):
                continue
            if metric.step <= last_step:
                found[metric.key, metric.step] = metric
        return sorted(found.values(), key=lambda metric: metric.step)

    def picture(self, pixels: np.ndarray, file: str) -> None:
        """Keep a picture, HWC uint8, until it is logged.

        Args:
            pixels: the picture.
            file: its path among the artifacts of the run, a PNG.

        Raises:
            TrainingError: it can't be written.
        """
        path = self.folder / PICTURES / file
        with self._writing(file):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                Image.fromarray(pixels).save(part)

    def send(self, pending: list[Metric]) -> None:
        """Let the thread log metrics and all kept pictures to MLflow, unless it is still at that.

        What was logged since the last call is removed from the list: a training that is killed
        finds in its checkpoint what MLflow may lack. After a failure the next attempt is made a
        minute later.

        Args:
            pending: metrics that MLflow may lack; logging one twice does no harm.
        """
        if self.tracker is None:
            pending.clear()
        elif self._batch is None or self._batch.done():
            self._note_batch(pending)
            if time.monotonic() >= self._next_attempt:
                self._batch = self._thread.submit(self._deliver, list(pending))

    def finish(self, pending: list[Metric]) -> None:
        """Log all metrics and pictures before this returns, and empty the list.

        Raises:
            Unreachable, Deleted: nothing is lost.
        """
        if self.tracker is not None:
            if self._batch is not None:
                wait([self._batch])
            self._note_batch(pending)
            self._deliver(list(pending))
            self._note_success()
        pending.clear()

    def _deliver(self, metrics: Sequence[Metric]) -> int:
        """Log metrics and kept pictures, and return how many metrics these were."""
        assert self.tracker is not None
        self.tracker.check()
        self.tracker.commit(metrics)
        self._send_pictures(self.tracker)
        return len(metrics)

    def _note_batch(self, pending: list[Metric]) -> None:
        """Remove what the thread has logged from the list, or report its failure."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        try:
            del pending[: batch.result()]
        except RegistryError as error:
            self._note_failure(error)
        else:
            self._note_success()

    def _note_success(self) -> None:
        if self._failing:
            self._show("MLflow answers again and has what it lacked of this training.")
        self._failing = False

    @contextmanager
    def _writing(self, file: str) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise TrainingError(
                f"{file} can't be written to {self.folder} ({first_line(error)}): mend that and "
                "run the same command again to resume from the last checkpoint."
            ) from error

    def _send_pictures(self, tracker: Tracker) -> None:
        top = self.folder / PICTURES
        for path in sorted(top.rglob("*.png")):
            if not path.name.startswith("."):
                folder = path.relative_to(top).parent.as_posix()
                tracker.file(path, None if folder == "." else folder)
                path.unlink()

    def _note_failure(self, error: RegistryError) -> None:
        self._next_attempt = time.monotonic() + PAUSE_SECONDS
        if not self._failing:
            logger.warning("Metrics could not be logged.", exc_info=error)
            self._show(
                f"{error} The training goes on; what MLflow lacks is kept in {self.folder} and "
                "will be logged when it can be."
            )
        self._failing = True
