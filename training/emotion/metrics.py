"""How good named emotions are, and how honest their probabilities."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
)


def emotion_metrics(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"]
) -> dict[str, float]:
    """Return accuracy, mean recall over the classes present, and calibration error (15 bins)."""
    labels = logits.shape[1]
    present = truth.unique()
    recalls = multiclass_accuracy(logits, truth, labels, average="none")[present]
    probabilities = logits.softmax(1)
    return {
        "accuracy": float(multiclass_accuracy(logits, truth, labels, average="micro")),
        "mean_recall": float(recalls.mean()),
        "calibration_error": float(
            multiclass_calibration_error(probabilities, truth, labels, n_bins=15)
        ),
    }


def fitted_temperature(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"]
) -> Float[Tensor, ""]:
    """Return the T for which cross-entropy of logits / T is least.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    candidates = torch.logspace(-1, 1, 401)
    losses = [functional.cross_entropy(logits / t, truth) for t in candidates]
    return candidates[torch.stack(losses).argmin()]
