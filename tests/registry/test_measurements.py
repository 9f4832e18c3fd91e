"""Rows of measurements survive JSON, and measuring again replaces what was measured."""

import json

from registry.measurements import Measurement, from_rows, merged, to_rows

ACCURACY = Measurement(
    split="test",
    set="ferplus",
    metric="accuracy",
    value=0.8,
    low=0.7,
    high=0.9,
    protocol="majority",
)
LEAK = Measurement(split="test", set="london", metric="leak_auc", group="sex: female", value=0.5)
LATENCY = Measurement(split="", set="", metric="latency_ms", group="batch 1", value=31.0)


def test_rows_survive_json() -> None:
    rows = [ACCURACY, LEAK, LATENCY]
    assert from_rows(json.loads(json.dumps(to_rows(rows)))) == rows


def test_a_name_joins_what_is_known() -> None:
    assert ACCURACY.name == "test/ferplus/majority/accuracy"
    assert LEAK.name == "test/london/leak_auc/sex:female"
    assert LATENCY.name == "latency_ms/batch 1"


def test_measuring_again_replaces_the_same_row_alone() -> None:
    again = Measurement(
        split="test", set="london", metric="leak_auc", group="sex: female", value=0.4
    )
    assert merged([LEAK, ACCURACY], [again]) == [ACCURACY, again]
    assert len(merged([ACCURACY, LEAK], [again, LATENCY])) == 3
