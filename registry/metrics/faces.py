"""Metrics of a classifier that change with how often each face counts, as a bootstrap needs them.

Each takes the faces and rows of weights, and returns a value for each row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

BINS = 15
"""Bins of the calibration error, as `torchmetrics` is asked for in training."""
Weights = Float[np.ndarray, "resamples faces"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """What a classifier answered about labelled faces."""

    truth: Int[np.ndarray, "faces"]
    """The label of each face, from 0."""
    answer: Int[np.ndarray, "faces"]
    """The answer about each face, by the same numbers."""
    probability: Float[np.ndarray, "faces"]
    """Probability of the answer, 0 to 1."""

    @classmethod
    def read(cls, items: pd.DataFrame) -> "Faces":
        """Return the faces of a table of outcomes; labels are numbered in alphabetical order."""
        both = np.concatenate([items["emotion"], items["answer"]]).astype(str)
        numbers = np.unique(both, return_inverse=True)[1]
        truth, answer = np.split(numbers, 2)
        probability = items["probability"].to_numpy(dtype=np.float64)
        return cls(truth=truth, answer=answer, probability=probability)

    @property
    def right(self) -> Bool[np.ndarray, "faces"]:
        """Which answers are right."""
        right: np.ndarray = self.truth == self.answer
        return right


def accuracy(faces: Faces, weights: Weights) -> Float[np.ndarray, "resamples"]:
    """Return the share of right answers."""
    return _ratio(weights @ faces.right, weights.sum(1))


def mean_recall(faces: Faces, weights: Weights) -> Float[np.ndarray, "resamples"]:
    """Return the mean recall of the labels that occur."""
    return _mean_over_labels(faces, weights, lambda right, true, _: _ratio(right, true))


def macro_f1(faces: Faces, weights: Weights) -> Float[np.ndarray, "resamples"]:
    """Return the mean of F1 = 2 TP / (2 TP + FP + FN) over the labels that occur."""
    return _mean_over_labels(
        faces,
        weights,
        lambda right, true, answered: _ratio(2 * right, np.where(true, true + answered, 0)),
    )


def calibration_error(faces: Faces, weights: Weights) -> Float[np.ndarray, "resamples"]:
    """Return the expected calibration error (Guo et al., 2017) with 15 bins of equal width."""
    bins = np.clip(np.ceil(faces.probability * BINS).astype(int) - 1, 0, BINS - 1)
    gap = faces.right - faces.probability
    gaps = [np.abs(weights[:, bins == each] @ gap[bins == each]) for each in range(BINS)]
    return _ratio(np.sum(gaps, axis=0), weights.sum(1))


FACE_METRICS: Mapping[str, Callable[[Faces, Weights], np.ndarray]] = {
    "macro_f1": macro_f1,
    "accuracy": accuracy,
    "mean_recall": mean_recall,
    "calibration_error": calibration_error,
}
"""Each metric by its name in the table of measurements."""


def _mean_over_labels(
    faces: Faces,
    weights: np.ndarray,
    of_label: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return the mean of a function of right answers, faces and answers of each label."""
    values = []
    for label in np.unique(faces.truth):
        true, answered = faces.truth == label, faces.answer == label
        right = weights @ (true & answered)
        values.append(of_label(right, weights @ true, weights @ answered))
    found: np.ndarray = np.nanmean(values, axis=0)
    return found


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, NaN where below is 0."""
    ratio: np.ndarray = above / np.where(below, below, np.nan)
    return ratio
