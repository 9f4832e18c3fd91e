"""The metrics of a transfer, the thresholds, and the warnings."""

import json
import math
from dataclasses import replace

import pytest

from registry.transfer_metrics import (
    SAME_EXPRESSION,
    TransferMetrics,
    TransferThresholds,
    nearest_strength,
)

NONE = TransferThresholds()


def transfer(*, before: float = 1.0, after: float = 0.5, likeness: float = 0.9) -> TransferMetrics:
    return TransferMetrics(before=before, after=after, likeness=likeness, driver_likeness=None)


@pytest.mark.parametrize(
    ("before", "after", "nearer"),
    [(0.8, 0.2, 0.75), (0.8, 0.8, 0.0), (0.8, 1.2, -0.5), (SAME_EXPRESSION, 0.5, 0.0)],
)
def test_nearer_is_the_share_of_the_distance_that_is_gone(
    before: float, after: float, nearer: float
) -> None:
    assert transfer(before=before, after=after).nearer == pytest.approx(nearer)


def test_metrics_become_json() -> None:
    metrics = TransferMetrics(before=1.0, after=0.25, likeness=0.9, driver_likeness=0.1)
    assert json.loads(json.dumps(metrics.to_dict())) == {
        "nearer": 0.75, "before": 1.0, "after": 0.25, "likeness": 0.9, "driver_likeness": 0.1
    }  # fmt: skip
    assert transfer().to_dict()["driver_likeness"] is None


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (0.5, "50% nearer to the expression"),
        (1.25, "25% farther from the expression"),
        (0.996, "As near to the expression as before"),
    ],
)
def test_progress_is_a_whole_percentage(after: float, text: str) -> None:
    assert transfer(after=after).progress == text


def test_thresholds_are_what_95_percent_reach() -> None:
    transfers = [transfer(after=1 - i / 100, likeness=0.5 + i / 1000) for i in range(101)]
    thresholds = TransferThresholds.derive(transfers, [0.3 + i / 1000 for i in range(101)])
    assert thresholds.nearer == pytest.approx(0.05)
    assert thresholds.same_person == pytest.approx(0.305)
    assert TransferThresholds.derive(transfers, []).same_person == pytest.approx(0.505)
    farther = [transfer(after=1.5), *transfers]
    assert TransferThresholds.derive(farther[:2], []).nearer == 0


def test_thresholds_survive_the_metadata_of_a_version() -> None:
    thresholds = TransferThresholds(nearer=0.2, same_person=0.6)
    assert TransferThresholds.from_dict(json.loads(json.dumps(thresholds.to_dict()))) == thresholds
    assert TransferThresholds.from_dict({}) == NONE
    assert TransferThresholds.from_dict({"same_person": 0.6}).nearer == 0


@pytest.mark.parametrize(
    ("after", "likeness", "strength", "wrong"),
    [
        (0.7, 0.9, 1.0, []),
        (0.85, 0.9, 1.0, ["15% nearer, where at least 20%"]),
        (0.85, 0.9, 0.5, []),
        (0.85, 0.9, 1.5, ["15% nearer, where at least 20%"]),
        (1.4, 0.9, -0.5, []),
        (1.4, 0.9, 0.0, []),
        (1.1, 0.9, 0.5, ["no nearer"]),
        (0.7, 0.59, 1.0, ["0.59, where at least 0.60"]),
        (1.1, 0.1, 1.0, ["no nearer", "0.10, where at least 0.60"]),
    ],
)
def test_a_result_below_a_threshold_fails(
    after: float, likeness: float, strength: float, wrong: list[str]
) -> None:
    thresholds = TransferThresholds(nearer=0.2, same_person=0.6)
    failures = thresholds.failures(transfer(after=after, likeness=likeness), strength)
    assert len(failures) == len(wrong)
    assert all(words in sentence for words, sentence in zip(wrong, failures, strict=True))


@pytest.mark.parametrize(("after", "wrong"), [(0.05, 0), (0.9, 1)])
def test_a_face_that_shows_the_expression_already_must_keep_it(after: float, wrong: int) -> None:
    assert len(NONE.failures(transfer(before=0.0005, after=after), 1.0)) == wrong


def test_a_result_that_is_not_nearer_fails_without_thresholds() -> None:
    assert len(NONE.failures(transfer(after=1.0), 1.0)) == 1


def test_a_result_that_is_not_a_number_fails() -> None:
    assert NONE.failures(transfer(after=math.nan), 1.0)


@pytest.mark.parametrize(
    ("least", "before", "after", "strength", "wrong"),
    [
        (0.1, 1.0, 0.85, 1.0, False),
        (0.1, 1.0, 0.95, 1.0, True),
        (0.1, 1.0, 0.95, 0.5, False),
        (0.1, 1.0, 1.05, 0.5, True),
        (-0.1, 1.0, 1.05, 1.0, False),
        (-0.1, 1.0, 1.05, 0.25, True),
        (0.1, 1.0, 1.5, 0.0, False),
        (0.1, 1.0, 1.5, -0.5, False),
    ],
)
def test_blendshapes_have_to_come_nearer_in_place_of_the_expression(
    least: float, before: float, after: float, strength: float, wrong: bool
) -> None:
    thresholds = TransferThresholds(nearer=0.9, blendshapes_nearer=least)
    metrics = replace(transfer(), blendshapes_before=before, blendshapes_after=after)
    sentences = thresholds.failures(metrics, strength)
    assert bool(sentences) == wrong
    assert all(f"its distance is {after:.2f}" in sentence for sentence in sentences)
    stored = json.loads(json.dumps(thresholds.to_dict()))
    assert TransferThresholds.from_dict(stored) == thresholds
    assert "blendshapes_nearer" not in NONE.to_dict()
    (by_expression,) = thresholds.failures(transfer(), 1.0)
    assert "50% nearer, where at least 90%" in by_expression


@pytest.mark.parametrize(
    ("distances", "best"),
    [
        ({0.75: 0.9, 0.5: 0.4, 0.25: 0.6}, 0.5),
        ({0.75: 1.3, 0.5: 1.2, 0.25: 1.1}, None),
        ({}, None),
    ],
)
def test_a_strength_is_offered_that_is_nearer_than_source_and_result(
    distances: dict[float, float], best: float | None
) -> None:
    assert nearest_strength(distances, before=1.0, shown=1.5) == best
    assert nearest_strength(distances, before=1.5, shown=0.3) is None
