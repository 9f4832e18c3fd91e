"""Logging to MLflow; no other module of `training` uses it."""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tenacity import Retrying, retry_if_exception_message, stop_after_attempt, wait_random

from registry import artifacts, measurements, outcomes, signature, store
from registry.errors import RegistryError
from registry.measurements import Measurement
from registry.outcomes import Outcomes
from registry.store import in_progress
from registry.versions import Version
from training.datasets.counts import counts
from training.datasets.prepared import SPLITS, Prepared

logger = logging.getLogger(__name__)
LONGEST_PARAM = 500
MOST_POINTS = 200
"""Most points of a curve that go into a starter's file."""
CARD = "card.json"
RUN_FOLDER = "run_folder"
"""Tag: name of the folder of a run's checkpoints; equal recipes have equal names."""
TRAINING = "training"
"""Tag: which training a run is of, by its folder's `training.json`."""
PRECISION = "precision"
"""Tag: what a run computes in, where the recipe's precision may be `auto`."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of one step. Logging it twice adds one point only: its time is part of it."""

    key: str
    value: float
    step: int
    timestamp: int

    @classmethod
    def now(cls, key: str, value: float, step: int) -> "Metric":
        """Return a metric with the present time, in milliseconds since 1970."""
        return cls(key=key, value=value, step=step, timestamp=time.time_ns() // 1_000_000)


class Tracker:
    """An MLflow run that is open.

    All methods but `close` raise Unreachable if the store does not answer or its disk is full, and
    Deleted if the run was deleted in MLflow.

    Args:
        experiment: name of the run's experiment.
        name: name of a new run.
        run_id: id of an earlier run to continue; empty for a new one.
        tags: of a new run, from its first moment.
    """

    def __init__(
        self, experiment: str, name: str, run_id: str = "", tags: Mapping[str, str] | None = None
    ) -> None:
        import mlflow
        from mlflow.exceptions import MlflowException

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)
        self.client = store.connect(create=True)
        experiment_id = store.experiment(experiment)
        with suppress(MlflowException):  # a run that a failure left open may be of another store
            mlflow.end_run()
        with store.answering():
            run = mlflow.start_run(
                run_id=run_id or None,
                experiment_id=experiment_id,
                run_name=None if run_id else name,
                log_system_metrics=True,
                tags=None if run_id else dict(tags or {}),
            )
        self.run_id: str = run.info.run_id
        self._mark = ExitStack()
        self._mark.enter_context(in_progress.working_on("run", self.run_id))

    def __enter__(self) -> "Tracker":
        """Return itself; the run ends with the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the run, as failed if the block raised."""
        self.close("FAILED" if kind else "FINISHED")

    def describe(self, recipe: str, config: Mapping[str, Any], sets: Sequence[Prepared]) -> None:
        """Log the recipe, as parameters and as config.json, and the data of each split.

        Each data set comes with its digest, its counts and the report of its preparation.
        """
        import mlflow

        params = {"recipe": recipe} | {k: str(v)[:LONGEST_PARAM] for k, v in config.items()}
        with self._writing("The recipe"):
            mlflow.log_params(params)
            mlflow.log_dict(json.loads(json.dumps(config, default=str)), "config.json")
            for data in sets:
                self._describe(data)

    def _describe(self, data: Prepared) -> None:
        import mlflow

        held = {split: counts(data, split) for split in SPLITS if len(data.split(split))}
        for split, found in held.items():
            tags = {key: _short(value) for key, value in found.items()}
            self.input(data.name, split, data.digest, str(data.folder), tags)
        mlflow.log_dict(held, f"data/{data.name}.json")
        report = data.folder / "report.md"
        if report.exists():
            mlflow.log_artifact(str(report), f"data/{data.name}")

    def input(
        self, name: str, split: str, digest: str, folder: str, tags: Mapping[str, str]
    ) -> None:
        """Log a split of a data set as an input of the run, with its digest.

        Args:
            name: the set's name.
            split: train, validation or test.
            digest: SHA-256 of the set; MLflow takes its first 36 digits.
            folder: where the set lies, or lay.
            tags: what else is known of the split.
        """
        import mlflow
        from mlflow.data.filesystem_dataset_source import FileSystemDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.data.sources import LocalArtifactDatasetSource

        source: FileSystemDatasetSource = LocalArtifactDatasetSource(folder)
        part = MetaDataset(source, name=f"{name} {split}", digest=digest[:36])
        with self._writing(f"The data set {name}"):
            for attempt in _again_where_another_run_was_first():
                with attempt:
                    mlflow.log_input(part, context=split, tags=dict(tags))

    def check(self) -> None:
        """Raise, within seconds, unless the store answers; a database put back is opened again."""
        self.client = store.connect()

    def commit(self, metrics: Sequence[Metric]) -> None:
        """Log metrics in batches; safe to repeat."""
        from mlflow.entities import Metric as MlflowMetric

        for start in range(0, len(metrics), 1000):
            batch = [MlflowMetric(**asdict(metric)) for metric in metrics[start : start + 1000]]
            with self._writing("The metrics"):
                self.client.log_batch(self.run_id, metrics=batch)

    def picture(self, pixels: np.ndarray, file: str) -> None:
        """Log a picture, HWC uint8, as an artifact."""
        with self._writing(file):
            self.client.log_image(self.run_id, Image.fromarray(pixels), artifact_file=file)

    def file(self, path: Path, folder: str | None = None) -> None:
        """Log a file as an artifact."""
        with self._writing(path.name):
            self.client.log_artifact(self.run_id, str(path), folder)

    def _writing(self, thing: str) -> AbstractContextManager[None]:
        return store.writing(f"{thing} of run {self.run_id}", self.run_id)

    def card(self, card: Mapping[str, Any], text: str = "") -> None:
        """Log the run card.

        Args:
            card: how the network was trained, plain values.
            text: the card as Markdown, if it becomes the description of a version.

        Raises:
            Unreachable: the store does not answer.
        """
        with self._writing(CARD):
            self.client.log_dict(self.run_id, dict(card), CARD)
        if text:
            signature.sign(self.run_id, text)

    def measurements(self, rows: Sequence[Measurement]) -> None:
        """Add rows to the run's table of measurements.

        Raises:
            Unreachable: the store does not answer.
        """
        measurements.write(self.run_id, rows)

    def tag(self, key: str, value: str) -> None:
        """Set a tag of the run."""
        with self._writing(f"The tag {key}"):
            self.client.set_tag(self.run_id, key, value)

    def close(self, status: str = "FINISHED") -> None:
        """End the run; where that fails, the run is only logged as not ended."""
        import mlflow

        with suppress(Exception):
            mlflow.flush_async_logging()
        try:
            with self._writing("The end"):
                mlflow.end_run(status)
        except RegistryError:
            logger.exception("Run %s is not ended.", self.run_id)
        else:
            self._mark.close()


def _again_where_another_run_was_first() -> Retrying:
    """Return attempts to log a data set of an experiment.

    MLflow looks for the data set and then inserts it; where another run of the experiment inserts
    it in between, the database refuses the second, and the next attempt finds it.
    """
    return Retrying(
        retry=retry_if_exception_message(match="(?s).*(UNIQUE constraint|duplicate key value)"),
        stop=stop_after_attempt(5),
        wait=wait_random(0, 1),
        reraise=True,
    )


def is_active(run_id: str) -> bool:
    """Return whether a run is there and wasn't deleted.

    Raises:
        Unreachable: the store does not answer.
    """
    return store.is_active(run_id)


def _short(found: int | Mapping[str, int]) -> str:
    """Return counts as JSON, or their sum if there are too many for a tag."""
    whole = json.dumps(found)
    if isinstance(found, int) or len(whole) <= LONGEST_PARAM:
        return whole
    return json.dumps(sum(found.values()))


def annotate(version: Version, rows: Sequence[Measurement], found: Outcomes) -> None:
    """Log measurements and the outcome of each item to the run of a version, and as its tags.

    Args:
        version: the version that was measured.
        rows: measurements; they become rows of the run's table, and the main ones also metrics of
            the run and tags.
        found: the outcomes.

    Raises:
        Deleted: the version or its run was deleted, or its model renamed.
        Unreachable: the store does not answer.
    """
    measurements.write(version.run_id, rows)
    client = store.connect()
    with store.writing(f"The measurements of {version.title}", version.run_id):
        for row in (row for row in rows if row.is_main):
            client.log_metric(version.run_id, row.name, row.value)
            number = str(version.number)
            client.set_model_version_tag(version.name, number, row.name, f"{row.value:.4f}")
    outcomes.log(version, found)


def curves(run_id: str) -> list[Metric]:
    """Return the losses and validations that a training logged, at most MOST_POINTS of each.

    What was measured of the finished network and the machine's load are left out.

    Raises:
        Unreachable: the store does not answer.
    """
    measured = {row.name for row in measurements.read(run_id)}
    client, found = store.connect(), []
    with store.answering():
        for key in sorted(client.get_run(run_id).data.metrics):
            if key not in measured and not key.startswith("system/"):
                points = client.get_metric_history(run_id, key)
                found += points[:: math.ceil(len(points) / MOST_POINTS)]
    return [
        Metric(key=each.key, value=each.value, step=each.step, timestamp=each.timestamp)
        for each in found
    ]


def card_of(run_id: str) -> dict[str, Any] | None:
    """Return the run card of a run; None if there is no such run, or no card in it.

    Raises:
        Unreachable: the store does not answer, or the card is there and can't be read.
    """
    card: dict[str, Any] | None = artifacts.fetch_json(run_id, CARD)
    return card
