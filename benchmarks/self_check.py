"""Which numbers predict that the result of a transfer is worse than the untouched source.

    python benchmarks/self_check.py ../shared/data data

The referee, MediaPipe's blendshapes, calls a result worse where it is farther from the driver than
the untouched source. Compared are what pix2pixhd in production warns by now, the emotion network,
and a linear head that was fitted to the referee's blendshapes on a frozen MobileFaceNet's 14 px
maps, averaged to 7 px. Head and thresholds come from validation persons: the threshold of each
number is that above which 15 % of their good results are, the head's numbers by cross-validation
in which neither the source's person nor the driver's was learned from. Measured on test persons,
95 % intervals by bootstrap over the sources' persons. Transfers and features are kept in --cache.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch
from check_pairs import DRIVERS, GENERATOR, STRENGTHS, CheckPairs, make_pairs
from jaxtyping import Bool, Float, UInt8
from rich.progress import track
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from registry import versions
from registry.catalog import EXPRESSION_DIMS
from registry.crops import CropSpec, to_tensor
from registry.metrics.bootstrap import cluster_weights
from training.datasets.prepared import Prepared
from training.models.backbones.mobilefacenet import FRAME_MARGIN, FRAME_PX, MobileFaceNet
from training.starters import files

MARGIN = 0.4
"""Margin of the generator's crops."""
WARNED_GOOD = 0.15
"""Share of the good validation results above each threshold."""
LEARNED = ("source", "driver", "result 1", "result 0.5")
"""Faces of each validation transfer that the head is fitted to."""
ALPHA = 0.3
"""Weight of the head's penalty; on validation persons 0.1 to 1 explain as much of the variance."""
FOLDS, BATCH = 6, 32
VECTORS = ("expression", "deviation", "softmax", "logits")
"""What is compared of the versions in production: the own encoder's, and the emotion network's."""
BEFORE, NEARER, THREE = "head: distance before", "head: how much nearer", "head: three numbers"
NOW = "expression: by what share nearer, what warns now"
HEAD = (
    "| number | AUC | of the worse, warned | of the good, warned |\n|---|---|---|---|\n"
    "| aimed at | | at least 0.50 | at most 0.15 |"
)
Vectors = Mapping[str, Float[np.ndarray, "transfers d"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """The transfers of one split in which the referee finds all faces at all strengths."""

    people: np.ndarray
    """Numbers of the sources' persons."""
    signals: dict[str, Float[np.ndarray, "transfers"]]
    """Higher where a result is likelier to be worse than the source."""
    referee: Float[np.ndarray, "transfers strengths+1"]
    """Distances to the driver: of the source, then of the result at each strength."""
    head: Float[np.ndarray, "transfers strengths+1"]
    """The same by the head."""
    moved: Float[np.ndarray, "transfers"]
    """Distance of the result at strength 1 to the source, by the head."""
    strong: Bool[np.ndarray, "transfers"]
    """Whether the driver's blendshapes are farther from neutral ones than the median driver's."""

    @property
    def worse(self) -> Bool[np.ndarray, "transfers"]:
        """Whether the result at strength 1 is farther from the driver than the source."""
        return np.asarray(self.referee[:, 1] > self.referee[:, 0])


def main(shared: Path, data: Path, count: int, cache: Path) -> None:
    """Measure both splits and print the tables."""
    sets = {name: Prepared.open(data / name) for name in DRIVERS}
    cache.mkdir(parents=True, exist_ok=True)
    pairs = {s: make_pairs(shared, sets, s, count, cache) for s in ("validation", "test")}
    maps = {s: _kept(cache / f"maps-{s}-{count}.npz", p, _maps) for s, p in pairs.items()}
    shapes = head_shapes(pairs["validation"], maps["validation"], maps["test"])
    found = {s: _measured(p, shapes[s], cache / f"own-{s}-{count}.npz") for s, p in pairs.items()}
    add_logistic(found["validation"], found["test"])
    shipped = versions.resolve(GENERATOR).thresholds["nearer"]
    print("\n".join(table(found["validation"], found["test"], shipped)))


def head_shapes(
    pairs: CheckPairs, validation: Vectors, test: Vectors
) -> dict[str, dict[str, Float[np.ndarray, "transfers 52"]]]:
    """Fit the head on validation faces; return its blendshapes of both splits by face.

    Those of validation faces are by heads that learned from neither person of the transfer.
    """
    cases = pairs.cases
    people = cases[["source person", "driver person"]].to_numpy()
    unique = np.unique(people)
    fold = dict(zip(unique, np.random.default_rng(0).permutation(len(unique)) % FOLDS, strict=True))
    folds = np.array([[fold[person] for person in row] for row in people])
    crossed = {name: np.zeros((len(cases), 52)) for name in validation}
    for held in track(list(combinations_with_replacement(range(FOLDS), 2)), "Folds"):
        rows = (np.sort(folds, axis=1) == held).all(1)
        if not rows.any():
            continue
        out = np.isin(folds, held)
        known = {"source": ~out[:, 0], "driver": ~out[:, 1]}
        head = _fitted(pairs, validation, {k: known.get(k, ~out.any(1)) for k in LEARNED})
        for name, values in validation.items():
            crossed[name][rows] = head.predict(values[rows])
    whole = _fitted(pairs, validation, dict.fromkeys(LEARNED, np.ones(len(cases), bool)))
    return {"validation": crossed, "test": {k: whole.predict(v) for k, v in test.items()}}


def _fitted(
    pairs: CheckPairs, maps: Vectors, rows: Mapping[str, Bool[np.ndarray, "transfers"]]
) -> Ridge:
    inputs = np.concatenate([maps[name][chosen] for name, chosen in rows.items()])
    truth = np.concatenate([pairs.shapes[name][chosen] for name, chosen in rows.items()])
    known = ~np.isnan(truth).any(1)
    inputs, truth = inputs[known], truth[known].astype(np.float32)
    scale = float(inputs.var(0).sum())
    return Ridge(alpha=ALPHA * scale, solver="cholesky").fit(inputs, truth)


def add_logistic(validation: Measured, test: Measured) -> None:
    """Add "head: three numbers" to both: distances before and after, and the distance moved."""

    def inputs(measured: Measured) -> Float[np.ndarray, "transfers 3"]:
        return np.column_stack([measured.head[:, :2], measured.moved])

    model = LogisticRegression(C=100).fit(inputs(validation), validation.worse)
    for measured in (validation, test):
        measured.signals[THREE] = model.decision_function(inputs(measured))


def table(validation: Measured, test: Measured, least_nearer: float) -> Iterator[str]:
    """Yield the tables' lines, Markdown; a share below `least_nearer` is what warns now."""
    counts = f"{len(test.worse)} transfers, {test.worse.mean():.0%} worse"
    yield from (f"Test persons, {counts}:", "", *HEAD.splitlines())
    everyone = np.ones(len(test.worse), bool)
    for name in test.signals:
        limit = -least_nearer if name == NOW else _threshold(validation, name)
        yield _row(name, test, everyone, name, limit)
    limit = _threshold(validation, NEARER)
    for name, rows in (("subtle drivers", ~test.strong), ("strong drivers", test.strong)):
        yield _row(f"{NEARER}, {name}", test, rows, NEARER, limit)
    yield from ("", *_strengths(test, test.signals[NEARER] > limit))


def _threshold(validation: Measured, name: str) -> float:
    good = validation.signals[name][~validation.worse]
    return float(np.quantile(good, 1 - WARNED_GOOD))


def _row(title: str, test: Measured, rows: np.ndarray, name: str, limit: float) -> str:
    values, worse = test.signals[name][rows], test.worse[rows]
    people = test.people[rows]
    warned = (values > limit).astype(float)
    cells = (
        _cell(lambda w: float(roc_auc_score(worse, values, sample_weight=w)), people),
        _cell(lambda w: _mean(warned[worse], w[worse]), people),
        _cell(lambda w: _mean(warned[~worse], w[~worse]), people),
    )
    return f"| {title} | " + " | ".join(cells) + " |"


def _cell(statistic: Callable[[np.ndarray], float], people: np.ndarray) -> str:
    """Return a statistic of weighted transfers with its interval."""
    drawn = [statistic(w) for chunk in cluster_weights(people) for w in chunk]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{statistic(np.ones(len(people))):.2f} ({low:.2f} to {high:.2f})"


def _strengths(test: Measured, warned: np.ndarray) -> Iterator[str]:
    """Yield how many of the warned results are worse than the source at other strengths."""
    before, after = test.referee[warned, 0], test.referee[warned, 1:]
    best = test.head[warned, 1:].argmin(1)
    people = test.people[warned]
    choices = {f"strength {s:g}": after[:, i] for i, s in enumerate(STRENGTHS)}
    choices["the best by the head"] = np.take_along_axis(after, best[:, None], 1)[:, 0]
    choices["the best by the referee"] = after.min(1)
    yield f"Of the {int(warned.sum())} warned test results, worse than the source:"
    yield from ("", "| shown | worse |", "|---|---|")
    for name, distance in choices.items():
        worse = (distance > before).astype(float)
        yield f"| {name} | {_cell(partial(_mean, worse), people)} |"


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ values / weights.sum()) if weights.any() else np.nan


def _measured(pairs: CheckPairs, shapes: Vectors, cache: Path) -> Measured:
    own = _kept(cache, pairs, _own_vectors)
    counted = ~np.isnan(np.stack(list(pairs.shapes.values()))).any((0, 2))
    results = [f"result {s:g}" for s in STRENGTHS]
    referee = np.stack([_apart(pairs.shapes, name, "driver") for name in ("source", *results)], 1)
    head = np.stack([_apart(shapes, name, "driver") for name in ("source", *results)], 1)
    signals = {f"{name}: how much nearer": _farther(own, name) for name in VECTORS}
    before = _apart(own, "source expression", "driver expression")
    after = _apart(own, "result 1 expression", "driver expression")
    signals = {NOW: after / before - 1} | signals
    signals |= {BEFORE: -head[:, 0], NEARER: head[:, 1] - head[:, 0]}
    neutral = pairs.shapes["source"][pairs.cases["source emotion"].to_numpy(int) == 0]
    far = np.linalg.norm(pairs.shapes["driver"] - np.nanmean(neutral, axis=0), axis=1)
    return Measured(
        people=np.unique(pairs.cases["source person"].to_numpy()[counted], return_inverse=True)[1],
        signals={name: values[counted] for name, values in signals.items()},
        referee=referee[counted],
        head=head[counted],
        moved=_apart(shapes, "result 1", "source")[counted],
        strong=far[counted] > np.median(far[counted]),
    )


def _apart(vectors: Vectors, one: str, other: str) -> Float[np.ndarray, "transfers"]:
    return np.asarray(np.linalg.norm(vectors[one] - vectors[other], axis=1))


def _farther(vectors: Vectors, key: str) -> Float[np.ndarray, "transfers"]:
    """Return how much farther from the driver the result is than the source."""
    after = _apart(vectors, f"result 1 {key}", f"driver {key}")
    before = _apart(vectors, f"source {key}", f"driver {key}")
    return np.asarray(after - before)


def _kept(
    file: Path, pairs: CheckPairs, compute: Callable[[CheckPairs], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    if not file.exists():
        np.savez(file, **compute(pairs))
    with np.load(file) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def _own_vectors(pairs: CheckPairs) -> dict[str, np.ndarray]:
    """Return the vectors of the versions in production: source, driver, result at strength 1."""
    generator = versions.load(GENERATOR, "cpu", "onnxruntime")
    emotion = versions.load("emotion@production", "cpu", "onnxruntime")
    found: dict[str, np.ndarray] = {}
    for name in track(("source", "driver", "result 1"), "Vectors"):
        faces = pairs.faces[name]
        encoded = [generator.encode(to_tensor([face])) for face in faces]
        small = _cut(faces, emotion.version.crop)
        logits = torch.cat([emotion(face[None])["logits"] for face in small])
        condition = torch.cat([each["condition"] for each in encoded])
        found[f"{name} expression"] = condition[:, :EXPRESSION_DIMS].numpy()
        found[f"{name} deviation"] = condition[:, EXPRESSION_DIMS:].numpy()
        found[f"{name} logits"] = logits.numpy()
        found[f"{name} softmax"] = logits.softmax(1).sqrt().numpy()
    return found


def _maps(pairs: CheckPairs) -> dict[str, np.ndarray]:
    """Return the MobileFaceNet's map of each face, averaged to 7 px, flat, float16."""
    network = MobileFaceNet().eval()
    network.load_state_dict(files.Starter.open(files.MOBILEFACENET).weights())
    spec = CropSpec(size_px=FRAME_PX, margin=FRAME_MARGIN)
    found = {}
    for name, faces in pairs.faces.items():
        rows = []
        for start in track(range(0, len(faces), BATCH), f"Maps of each {name}"):
            with torch.inference_mode():
                maps = network.taps(_cut(faces[start : start + BATCH], spec))[-2]
            rows.append(functional.avg_pool2d(maps, 2).flatten(1).half())
        found[name] = torch.cat(rows).numpy()
    return found


def _cut(
    faces: UInt8[np.ndarray, "faces side side 3"], spec: CropSpec
) -> Float[torch.Tensor, "faces 3 size size"]:
    """Return narrower crops of the generator's, cut as its encoder cuts them."""
    side = faces.shape[1]
    edge = round((1 - (1 + spec.margin) / (1 + MARGIN)) / 2 * side)
    inner = to_tensor(list(faces))[..., edge : side - edge, edge : side - edge]
    size = (spec.size_px, spec.size_px)
    return functional.interpolate(inner, size, mode="bilinear", antialias=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with weights/")
    parser.add_argument("data", type=Path, help="folder of the prepared sets")
    parser.add_argument("--count", type=int, default=600, help="transfers of each split")
    parser.add_argument("--cache", type=Path, default=Path("data/bench/self-check"))
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    main(arguments.shared, arguments.data, arguments.count, arguments.cache)
