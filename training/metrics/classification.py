"""Accuracy and calibration of an emotion classifier."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from registry.measurements import Measurement
from registry.metrics.bootstrap import cluster_weights
from registry.metrics.estimates import PERCENTILES
from registry.metrics.faces import FACE_METRICS, Faces


def emotion_metrics(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"]
) -> dict[str, float]:
    """Return accuracy, mean recall and macro-F1, and calibration error (15 bins).

    Mean recall and macro-F1 are means over the classes that are present in `truth`.
    """
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_calibration_error,
        multiclass_f1_score,
    )

    labels = logits.shape[1]
    present = truth.unique()
    recalls = multiclass_accuracy(logits, truth, labels, average="none")[present]
    f1 = multiclass_f1_score(logits, truth, labels, average="none")[present]
    probabilities = logits.softmax(1)
    return {
        "accuracy": float(multiclass_accuracy(logits, truth, labels, average="micro")),
        "mean_recall": float(recalls.mean()),
        "macro_f1": float(f1.mean()),
        "calibration_error": float(
            multiclass_calibration_error(probabilities, truth, labels, n_bins=15)
        ),
    }


def emotion_measurements(
    logits: Float[Tensor, "faces labels"],
    truth: Int[Tensor, "faces"],
    *,
    split: str,
    of_set: str,
    protocol: str = "",
) -> list[Measurement]:
    """Return `emotion_metrics` as rows with their 95 % intervals, by bootstrap over faces.

    Args:
        logits: the classifier's outputs.
        truth: the right label of each face.
        split: the faces' split.
        of_set: name of the data set.
        protocol: how the labels were chosen; see `Measurement.protocol`.
    """
    best = logits.softmax(1).max(1)
    faces = Faces(
        truth=truth.numpy(),
        answer=best.indices.numpy(),
        probability=best.values.double().numpy(),
    )
    drawn = list(cluster_weights(np.arange(len(truth))))
    rows = []
    for name, value in emotion_metrics(logits, truth).items():
        resampled = np.concatenate([FACE_METRICS[name](faces, weights) for weights in drawn])
        low, high = np.nanpercentile(resampled, PERCENTILES).tolist()
        rows.append(
            Measurement(
                split=split,
                set=of_set,
                metric=name,
                value=value,
                low=low,
                high=high,
                protocol=protocol,
            )
        )
    return rows


def fitted_temperature(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"]
) -> Float[Tensor, ""]:
    """Return the T for which the cross-entropy of logits / T is lowest.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    candidates = torch.logspace(-1, 1, 401)
    losses = [functional.cross_entropy(logits / t, truth) for t in candidates]
    return candidates[torch.stack(losses).argmin()]


def fitted_prior(
    logits: Float[Tensor, "faces labels"], truth: Int[Tensor, "faces"]
) -> Float[Tensor, "labels"]:
    """Return the class prior without which the class-balanced cross-entropy is lowest, sum 1.

    `balanced_logits` takes it out. Labels without a face get the geometric mean of the others.
    After Menon et al., "Long-tail learning via logit adjustment" (ICLR 2021), who take the
    frequencies of the training labels; those of several sets, drawn with weights, are no one
    prior, so it is fitted (our decision).
    """
    counts = torch.bincount(truth, minlength=logits.shape[1])
    present = counts > 0
    known, target = logits.double()[:, present], (present.cumsum(0) - 1)[truth]
    log_prior = torch.zeros(known.shape[1], dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_prior], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(known - log_prior, target, 1 / counts[present].double())
        value.backward()
        return value

    optimiser.step(loss)
    found = torch.zeros(logits.shape[1], dtype=torch.double)
    found[present] = log_prior.detach() - log_prior.detach().mean()
    return found.softmax(0).float()


def balanced_logits(
    logits: Float[Tensor, "faces labels"], prior: Float[Tensor, "labels"]
) -> Float[Tensor, "faces labels"]:
    """Return the logits for equally likely labels: the class prior is taken out (Menon et al.)."""
    return logits - prior.log()
