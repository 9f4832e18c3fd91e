"""Measurements as tables: a cell for each number with its interval."""

from typing import Any

from registry.measurements import Measurement
from training.cards.tables import as_published, by_group, lines, overall

FERPLUS = {"split": "test", "set": "ferplus"}


def row(metric: str, value: float, **columns: Any) -> Measurement:
    return Measurement(**{"metric": metric, "value": value} | FERPLUS | columns)


ACCURACY = row("triplet_accuracy", 0.64, low=0.594, high=0.686)
LATENCY = row("latency_ms", 4.5, split="", set="", group="batch 1")


def test_each_set_has_a_column_and_an_interval_is_in_the_cell_of_its_metric() -> None:
    shown = overall([ACCURACY, row("triplet_accuracy", 0.8, set="london")])
    assert shown == (
        "| test | ferplus | london |\n"
        "|---|---|---|\n"
        "| triplet accuracy | 0.640 (0.59 to 0.69) | 0.800 |"
    )


def test_splits_protocols_counts_and_the_machine_are_separate() -> None:
    measurements = [
        row("accuracy", 0.61, split="validation", set=""),
        row("accuracy", 0.82),
        row("accuracy", 0.87, protocol="majority"),
        row("faces", 3545.0),
        LATENCY,
    ]
    test, validation, machine = overall(measurements).split("\n\n")
    assert "| accuracy | 0.820 |\n| accuracy (majority) | 0.870 |\n| faces | 3,545 |" in test
    assert validation == "| validation | all sets |\n|---|---|\n| accuracy | 0.610 |"
    assert machine == "| on this machine | per face |\n|---|---|\n| latency ms, batch 1 | 4.500 |"


def test_groups_of_people_and_emotions_have_separate_tables() -> None:
    measurements = [
        row("leak_auc", 0.7, set="london"),
        row("leak_auc", 0.71, set="london", group="sex: female", low=0.66, high=0.76),
        row("leak_auc", 0.72, set="london", group="ethnicity: east_asian"),
        row("recall", 0.58, group="emotion: sad"),
        row("triplet_accuracy", 0.54, group="one class"),
    ]
    everybody, groups = overall(measurements), by_group(measurements)
    assert "| leak auc, sex: female |  | 0.710 (0.66 to 0.76) |" in groups
    assert "| leak auc, ethnicity: east_asian |  | 0.720 |" in groups
    assert "| recall, emotion: sad | 0.580 |  |" in groups
    assert "| leak auc |  | 0.700 |" in everybody
    assert "| triplet accuracy, one class | 0.540 |  |" in everybody
    assert "female" not in everybody
    assert "sad" not in everybody


def test_a_line_is_a_name_a_value_and_an_interval() -> None:
    assert list(lines([ACCURACY, LATENCY])) == [
        "test/ferplus/triplet_accuracy  0.6400  (0.5940 to 0.6860)",
        "latency_ms/batch 1  4.5000",
    ]


def test_papers_lines_give_accuracies_by_type_and_over_classes() -> None:
    measurements = [
        ACCURACY,
        row("triplet_accuracy", 0.5, group="one class"),
        row("triplet_accuracy", 0.7, group="three class"),
        row("triplets", 30000.0),
        row("triplets", 10000.0, group="one class"),
        row("accuracy", 0.8),
        row("mean_recall", 0.6),
        row("accuracy", 0.9, protocol="majority"),
        row("mean_recall", 0.7, protocol="majority"),
        row("accuracy", 0.4, set="no recall"),
    ]
    assert list(as_published(measurements)) == [
        "test, ferplus: one class 50.00% of 10,000, three class 70.00%, all 64.00% of 30,000",
        "test, ferplus: accuracy 80.00%, mean class accuracy 60.00%",
        "test, ferplus, majority: accuracy 90.00%, mean class accuracy 70.00%",
    ]
