"""Two trainings of one experiment that log the same data set at the same time."""

import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.store.tracking.dbmodels.models import SqlDataset
from sqlalchemy import event
from sqlalchemy.orm import Session

from registry import store
from training.engine.tracking import Tracker


def log(run: Tracker) -> None:
    run.input("toy", "train", "a" * 64, "toy", {})


@pytest.fixture
def runs(fresh_store: Path) -> list[Tracker]:
    assert fresh_store
    found = []
    for name in ("first", "second"):
        run = Tracker("dln", name)
        run.close()
        found.append(run)
    return found


def test_the_data_set_is_an_input_of_both_where_one_is_inserted_in_between(
    runs: list[Tracker],
) -> None:
    first, second = runs
    times: list[int] = []

    def insert_the_other(session: Session, *_: Any) -> None:
        """Let the second run insert the data set after the first has looked for it."""
        if not times and any(isinstance(each, SqlDataset) for each in session.new):
            times.append(1)
            thread = threading.Thread(target=lambda: log_as_another_program(second.run_id))
            thread.start()
            thread.join()

    event.listen(Session, "before_flush", insert_the_other)
    try:
        mlflow.start_run(run_id=first.run_id)
        log(first)
        mlflow.end_run()
    finally:
        event.remove(Session, "before_flush", insert_the_other)
    assert times
    for run in runs:
        (found,) = store.connect().get_run(run.run_id).inputs.dataset_inputs
        assert found.dataset.name == "toy train"


def log_as_another_program(run_id: str) -> None:
    data = Dataset(name="toy train", digest="a" * 36, source_type="local", source="{}")
    context = InputTag(key="mlflow.data.context", value="train")
    store.connect().log_inputs(run_id, [DatasetInput(dataset=data, tags=[context])])
