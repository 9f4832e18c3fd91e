"""The average of a stream of answers."""

import math

import pytest

from demo.live_emotion import FORGOTTEN_SECONDS, SMOOTHED_SECONDS, Smoothed, smooth

HAPPY, SAD = {"happy": 1.0, "sad": 0.0}, {"happy": 0.0, "sad": 1.0}


def test_the_average_is_exponential_in_time_whatever_the_number_of_frames() -> None:
    begun = smooth(HAPPY, 0.0, None)
    at_once = smooth(SAD, SMOOTHED_SECONDS, begun)
    in_steps = begun
    for step in range(1, 11):
        in_steps = smooth(SAD, step * SMOOTHED_SECONDS / 10, in_steps)
    assert at_once.probabilities["happy"] == pytest.approx(math.exp(-1))
    assert in_steps.probabilities == pytest.approx(at_once.probabilities)
    assert sum(in_steps.probabilities.values()) == pytest.approx(1)


def test_what_was_long_ago_or_of_other_labels_counts_nothing() -> None:
    assert smooth(SAD, FORGOTTEN_SECONDS, Smoothed(HAPPY, 0.0)).probabilities == SAD
    assert smooth(SAD, 0.1, Smoothed({"other": 1.0}, 0.0)).probabilities == SAD
