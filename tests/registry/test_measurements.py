"""Rows of measurements survive JSON and MLflow, and measuring again replaces what was measured."""

import errno
import json
import math
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from registry import measurements, store
from registry.errors import Unreachable
from registry.measurements import Measurement, from_rows, merged, to_rows

ACCURACY = Measurement(
    split="test",
    set="ferplus",
    metric="accuracy",
    value=0.1 + 0.2,
    low=0.7,
    high=0.9,
    protocol="majority",
)
LEAK = Measurement(split="test", set="london", metric="leak_auc", group="sex: female", value=0.5)
LATENCY = Measurement(split="", set="", metric="latency_ms", group="batch 1", value=31.0)


@pytest.fixture
def run_id(fresh_store: Path) -> str:
    assert fresh_store.is_dir()
    return str(store.connect().create_run(store.experiment("dln")).info.run_id)


def test_rows_survive_json() -> None:
    rows = [ACCURACY, LEAK, LATENCY]
    assert from_rows(json.loads(json.dumps(to_rows(rows)))) == rows


def test_a_name_joins_what_is_known() -> None:
    assert ACCURACY.name == "test/ferplus/majority/accuracy"
    assert LEAK.name == "test/london/leak_auc/sex:female"
    assert LATENCY.name == "latency_ms/batch 1"


def test_mlflow_takes_the_name_of_every_set_and_group(run_id: str) -> None:
    odd = replace(LEAK, set="mine (2024), é", group="ethnicity: Māori & other")
    store.connect().log_metric(run_id, odd.name, odd.value)
    assert list(store.connect().get_run(run_id).data.metrics) == [odd.name]


def test_measuring_again_replaces_the_same_row_alone() -> None:
    again = replace(LEAK, value=0.4)
    assert merged([LEAK, ACCURACY], [again]) == [ACCURACY, again]
    assert len(merged([ACCURACY, LEAK], [again, LATENCY])) == 3


def test_a_run_holds_one_table_to_which_later_measurements_are_added(run_id: str) -> None:
    assert measurements.read(run_id) == []
    measurements.write(run_id, [LEAK, ACCURACY])
    measurements.write(run_id, [LATENCY, replace(LEAK, value=0.4)])
    assert measurements.read(run_id) == [LATENCY, ACCURACY, replace(LEAK, value=0.4)]


def test_nothing_is_lost_when_several_write_at_once(run_id: str) -> None:
    rows = [replace(LEAK, set=f"set {n}") for n in range(8)]
    with ThreadPoolExecutor(len(rows)) as pool:
        list(pool.map(lambda row: measurements.write(run_id, [row]), rows))
    assert measurements.read(run_id) == rows


@pytest.mark.parametrize("text", ['{"columns": ["spl', "[]", '{"columns": ["a"], "data": [[1]]}'])
def test_a_damaged_table_is_never_replaced(run_id: str, fresh_store: Path, text: str) -> None:
    measurements.write(run_id, [ACCURACY])
    (path,) = fresh_store.rglob(measurements.FILE)
    path.write_text(text)
    with pytest.raises(Unreachable, match=f"{measurements.FILE} of run {run_id} can't be read"):
        measurements.write(run_id, [LEAK])
    assert path.read_text() == text


def test_a_table_that_cannot_be_fetched_is_never_replaced(
    run_id: str, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_or_fail(source: str, target: str) -> None:
        if Path(source).is_relative_to(fresh_store):
            raise OSError(errno.EIO, os.strerror(errno.EIO), "/data/measurements")
        shutil.copyfile(source, target)

    rows = [replace(LEAK, set=f"set {n}") for n in range(3)]
    measurements.write(run_id, rows)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copy2", copy_or_fail)
        with pytest.raises(Unreachable, match="Input/output error: '/data/measurements'"):
            measurements.write(run_id, [ACCURACY])
    assert measurements.read(run_id) == rows


def test_a_store_whose_lock_cannot_be_written_is_one_sentence(
    run_id: str, fresh_store: Path
) -> None:
    (fresh_store / "measurements.lock").mkdir()
    with pytest.raises(Unreachable, match="Is a directory"):
        measurements.write(run_id, [LEAK])


def test_mlflow_shows_the_table_as_a_table(run_id: str) -> None:
    measurements.write(run_id, [ACCURACY, LEAK])
    client = store.connect()
    frame = client.load_table(client.get_run(run_id).info.experiment_id, measurements.FILE)
    assert tuple(frame.columns) == measurements.COLUMNS
    assert frame["metric"].tolist() == ["accuracy", "leak_auc"]
    assert frame["low"].isna().tolist() == [False, True]


def test_a_number_that_is_not_finite_leaves_the_table_readable(run_id: str) -> None:
    measurements.write(run_id, [replace(LEAK, value=math.inf, low=math.nan, high=0.5), ACCURACY])
    accuracy, leak = measurements.read(run_id)
    assert accuracy == ACCURACY
    assert math.isnan(leak.value)
    assert leak.low is None


def test_what_a_deleted_run_measured_is_gone(fresh_store: Path) -> None:
    assert fresh_store.is_dir()
    assert measurements.read("0" * 32) == []
    assert measurements.read("") == []
