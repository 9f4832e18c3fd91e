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


def with_intervals(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"], resamples: int = 300
) -> dict[str, float]:
    """Return `emotion_metrics` and the ends of their 95 % intervals, by bootstrap over faces."""
    rng = torch.Generator().manual_seed(0)
    metrics = emotion_metrics(logits, truth)
    drawn = [torch.randint(len(truth), (len(truth),), generator=rng) for _ in range(resamples)]
    again = [emotion_metrics(logits[faces], truth[faces]) for faces in drawn]
    for key in tuple(metrics):
        values = torch.tensor([each[key] for each in again])
        low, high = torch.quantile(values, torch.tensor([0.025, 0.975])).tolist()
        metrics |= {f"{key}_low": low, f"{key}_high": high}
    return metrics


def fitted_temperature(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"]
) -> Float[Tensor, ""]:
    """Return the T for which cross-entropy of logits / T is least.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    candidates = torch.logspace(-1, 1, 401)
    losses = [functional.cross_entropy(logits / t, truth) for t in candidates]
    return candidates[torch.stack(losses).argmin()]
