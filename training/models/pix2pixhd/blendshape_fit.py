"""Fits a generator's head to MediaPipe's blendshapes, and the threshold below which it warns."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from registry.crops import CropSpec, to_tensor
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.blendshape_head import COMPONENTS, BlendshapeHead, untrained_head
from training.models.pix2pixhd.check_transfers import CheckTransfers, draw_cases, make_transfers
from training.models.pix2pixhd.encoder import narrower
from training.models.pix2pixhd.validation import Encode, Generate

logger = logging.getLogger(__name__)
Vectors = Mapping[str, Float[np.ndarray, "transfers d"]]
Targets = Mapping[str, Float[np.ndarray, "transfers 16"]]

LEARNED = ("source", "driver", "result 1", "result 0.5")
"""Faces of each validation transfer that the head is fitted to."""
STRENGTHS = (1.0, 0.5)
COUNT, LEAST_COUNT = 600, 100
"""Transfers that are made at most, and in which MediaPipe has to find all faces at least."""
WARNED_GOOD = 0.11
"""Share of the good validation results that are warned of. At most 15 % of other people's should
be: the interval of the share reaches 4 points to each side, and 0.13 gave 16 % of test persons'."""
ALPHA = 0.3
"""Weight of the penalty; on validation persons 0.1 to 1 explain as much of the variance."""
FOLDS, BATCH = 6, 32


@dataclass(frozen=True, kw_only=True)
class FittedHead:
    """A head with its threshold, and what both were made from."""

    head: BlendshapeHead
    nearer: float
    """`TransferThresholds.blendshapes_nearer`."""
    transfers: int
    """Validation transfers in which MediaPipe found all faces."""
    warned_worse: float
    """Of the results that are farther from the driver than the source, the share warned of; both
    shares by heads that learned from neither person."""
    warned_good: float

    @property
    def thresholds(self) -> dict[str, float]:
        """Return the threshold for a version's metadata."""
        return {"blendshapes_nearer": self.nearer}


def fit_head(
    sets: Sequence[Prepared],
    crop: CropSpec,
    generate: Generate,
    encode: Encode,
    landmarker: Path,
    count: int = COUNT,
) -> FittedHead | None:
    """Return a head and its threshold for a generator, from its transfers of validation persons.

    None, with a warning in the log, where there are less than LEAST_COUNT transfers.

    Args:
        sets: prepared sets of photos; those that know persons give the sources.
        crop: how the generator's faces are cut.
        generate: the generator.
        encode: its encoder.
        landmarker: MediaPipe's face_landmarker_v2_with_blendshapes.task.
        count: transfers at most.
    """
    cases = draw_cases(sets, "validation", count)
    if len(cases) < LEAST_COUNT:
        _warn_of(len(cases))
        return None
    made = make_transfers(cases, sets, crop, generate, encode, STRENGTHS, landmarker)
    found = int((~lost_faces(made)).sum())
    if found < LEAST_COUNT:
        _warn_of(found)
        return None
    return fit(made, crop)


def _warn_of(count: int) -> None:
    logger.warning(
        "The version gets no output blendshapes, because its sets give %d validation transfers in "
        "which faces are found, and %d are needed: its own encoder checks its results.",
        count,
        LEAST_COUNT,
    )


def lost_faces(transfers: CheckTransfers) -> Bool[np.ndarray, "transfers"]:
    """Return in which transfers MediaPipe finds no landmarks in one of the faces."""
    return np.asarray(np.isnan(np.stack(list(transfers.shapes.values()))).any((0, 2)))


def fit(transfers: CheckTransfers, crop: CropSpec) -> FittedHead:
    """Return the head that is fitted to all faces, and its threshold.

    The threshold comes from heads that learned from neither person of a transfer.
    """
    head = untrained_head()
    inputs = {name: head_inputs(head, transfers.faces[name], crop) for name in LEARNED}
    targets = _components({name: transfers.shapes[name] for name in LEARNED})
    everything = dict.fromkeys(LEARNED, np.ones(len(transfers.cases), bool))
    weight, bias = _fit_linear(inputs, targets, everything)
    head.linear.load_state_dict(
        {"weight": torch.from_numpy(weight).half().float(), "bias": torch.from_numpy(bias)}
    )
    found, nearer = ~lost_faces(transfers), _nearer_by_others(transfers, inputs, targets)
    shapes = transfers.shapes
    before, after = (_apart(shapes, name, "driver") for name in ("source", "result 1"))
    good, worse = nearer[found & (after <= before)], nearer[found & (after > before)]
    least = float(np.quantile(good, WARNED_GOOD))
    return FittedHead(
        head=head,
        nearer=least,
        transfers=int(found.sum()),
        warned_worse=float((worse < least).mean()) if len(worse) else 0.0,
        warned_good=float((good < least).mean()),
    )


def head_inputs(
    head: BlendshapeHead, faces: UInt8[np.ndarray, "faces size size 3"], crop: CropSpec
) -> Float[np.ndarray, "faces 6272"]:
    """Return what the head's linear layer gets for faces of the generator's crop."""
    rows = []
    for start in range(0, len(faces), BATCH):
        batch = to_tensor(list(faces[start : start + BATCH]))
        with torch.inference_mode():
            rows.append(head.inputs(narrower(batch, crop, head.crop)))
    return np.asarray(torch.cat(rows).numpy())


def _components(shapes: Vectors) -> dict[str, Float[np.ndarray, "transfers 16"]]:
    """Return the first principal components of blendshapes, in their units; NaN stays NaN."""
    known = np.concatenate(list(shapes.values()))
    known = known[~np.isnan(known).any(1)]
    mean = known.mean(0)
    axes = np.linalg.svd(known - mean, full_matrices=False)[2][:COMPONENTS]
    return {name: ((each - mean) @ axes.T).astype(np.float32) for name, each in shapes.items()}


def _fit_linear(
    inputs: Vectors, targets: Targets, rows: Mapping[str, Bool[np.ndarray, "transfers"]]
) -> tuple[Float[np.ndarray, "16 d"], Float[np.ndarray, "16"]]:
    """Return weight and bias of the ridge regression on the chosen rows that have a target.

    In its dual form, w = X' (X X' + a I)^-1 Y with centred X and Y: there are fewer faces than
    inputs. a is ALPHA times the sum of the inputs' variances.
    """
    x = np.concatenate([inputs[name][chosen] for name, chosen in rows.items()])
    y = np.concatenate([targets[name][chosen] for name, chosen in rows.items()])
    known = ~np.isnan(y).any(1)
    x, y = x[known], y[known]
    x_mean, y_mean = x.mean(0), y.mean(0)
    x = x - x_mean
    gram = (x @ x.T).astype(np.float64)
    gram[np.diag_indices(len(gram))] += ALPHA * x.var(0).sum()
    weight = (np.linalg.solve(gram, y - y_mean).T @ x).astype(np.float32)
    return weight, (y_mean - weight @ x_mean).astype(np.float32)


def _nearer_by_others(
    transfers: CheckTransfers, inputs: Vectors, targets: Targets
) -> Float[np.ndarray, "transfers"]:
    """Return how much nearer each result at strength 1 came, by heads of other persons alone."""
    folds = _folds(transfers)
    crossed = {name: np.zeros((len(folds), COMPONENTS)) for name in LEARNED}
    for held in combinations_with_replacement(range(FOLDS), 2):
        rows, out = (np.sort(folds, axis=1) == held).all(1), np.isin(folds, held)
        if not rows.any():
            continue
        known = {"source": ~out[:, 0], "driver": ~out[:, 1]}
        learned = {name: known.get(name, ~out.any(1)) for name in LEARNED}
        weight, bias = _fit_linear(inputs, targets, learned)
        for name, values in inputs.items():
            crossed[name][rows] = values[rows] @ weight.T + bias
    before, after = (_apart(crossed, name, "driver") for name in ("source", "result 1"))
    return np.asarray(before - after)


def _folds(transfers: CheckTransfers) -> np.ndarray:
    """Return the folds of each transfer's source person and driver person."""
    people = transfers.cases[["source person", "driver person"]].to_numpy()
    unique = np.unique(people.astype(str))
    order = np.random.default_rng(0).permutation(len(unique)) % FOLDS
    fold = dict(zip(unique.tolist(), order.tolist(), strict=True))
    return np.array([[fold[str(person)] for person in row] for row in people])


def _apart(vectors: Vectors, one: str, other: str) -> Float[np.ndarray, "transfers"]:
    return np.asarray(np.linalg.norm(vectors[one] - vectors[other], axis=1))
