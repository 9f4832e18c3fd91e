"""How many of the bad results of a transfer the version in production warns of, and of good ones.

    python benchmarks/self_check.py ../shared/data data

The referee, MediaPipe's blendshapes, calls a result worse where it is farther from the driver than
the untouched source. The version's output `blendshapes` was fitted to the same referee on
validation persons, here it is measured on test persons; 95 % intervals by bootstrap over the
sources' persons. Transfers and their blendshapes are kept in --cache by the generator's weights.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from check_pairs import GENERATOR, SETS, STRENGTHS, make_pairs
from jaxtyping import Bool, Float
from PIL import Image
from reference_embeddings import LANDMARKER
from rich.progress import track
from sklearn.metrics import roc_auc_score
from transfer import LIPS, LIPS_FLOOR

from demo.pasting import confined
from registry import versions
from registry.crops import to_tensor
from registry.landmarks import blendshapes
from registry.metrics.bootstrap import cluster_weights
from registry.transfer_metrics import TransferMetrics, TransferThresholds, nearest_strength
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.blendshape_fit import lost_faces
from training.models.pix2pixhd.check_transfers import CheckTransfers

OUTPUTS = ("expression", "identity", "blendshapes")
OWN = "its own encoder's expression, as before"
HEAD = (
    "| what warns | AUC | of the worse, warned | of the good, warned |\n|---|---|---|---|\n"
    "| aimed at | | at least 0.50 | at most 0.15 |"
)
Vectors = Mapping[str, Float[np.ndarray, "transfers d"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """The transfers in which the referee finds all faces at all strengths."""

    people: np.ndarray
    """Numbers of the sources' persons."""
    referee: Float[np.ndarray, "transfers strengths+1"]
    """Distances to the driver: of the source, then of the result at each strength."""
    head: Float[np.ndarray, "transfers strengths+1"]
    """The same by the version's blendshapes."""
    metrics: list[TransferMetrics]
    """Of the results at strength 1."""
    strong: Bool[np.ndarray, "transfers"]
    """Whether the driver's blendshapes are farther from neutral ones than the median driver's."""

    @property
    def worse(self) -> Bool[np.ndarray, "transfers"]:
        """Whether the result at strength 1 is farther from the driver than the source."""
        return np.asarray(self.referee[:, 1] > self.referee[:, 0])


def main(shared: Path, data: Path, count: int, cache: Path) -> None:
    """Measure the version in production and print the tables."""
    sets = {name: Prepared.open(data / name) for name in SETS}
    print("\n".join(tables(shared, sets, count, cache)))


def tables(shared: Path, sets: Mapping[str, Prepared], count: int, cache: Path) -> Iterator[str]:
    """Yield the lines of the tables, Markdown."""
    pairs = make_pairs(shared, sets, "test", count, cache)
    test = _measured(pairs)
    found = TransferThresholds.from_dict(versions.resolve(GENERATOR).thresholds)
    before = TransferThresholds(nearer=found.nearer)
    warned, everyone = _warned(found, test), np.ones(len(test.worse), bool)
    own = np.array([each.after - each.before for each in test.metrics])
    by_head = test.head[:, 1] - test.head[:, 0]
    yield f"{len(test.worse)} transfers of test persons, {test.worse.mean():.0%} worse:"
    yield from ("", *HEAD.splitlines(), _row(OWN, test, everyone, own, _warned(before, test)))
    for title, rows in (
        ("the version's blendshapes", everyone),
        ("the same, subtle drivers", ~test.strong),
        ("the same, strong drivers", test.strong),
    ):
        yield _row(title, test, rows, by_head, warned)
    yield from (
        "",
        *_strengths(test, warned),
        "",
        *_lips(pairs),
        "",
        *_outlined(shared, pairs, test),
    )


def _lips(pairs: CheckTransfers) -> Iterator[str]:
    """Yield how much of the drivers' change of lips and teeth the results show."""
    found = ~lost_faces(pairs)
    people = np.unique(pairs.cases["source person"].to_numpy()[found], return_inverse=True)[1]
    shapes = {name: values[found][:, LIPS] for name, values in pairs.shapes.items()}
    wanted, change = (shapes[name] - shapes["source"] for name in ("driver", "result 1"))
    square = (wanted**2).sum(1)
    far = square >= LIPS_FLOOR**2
    share = (change * wanted).sum(1)[far] / square[far]
    cell = _cell(partial(_mean, share), people[far])
    yield f"In {far.sum()} of the transfers lips and teeth are to change by {LIPS_FLOOR} or more."
    yield f"Of that change the results show {cell}; 0.60 was aimed at."


def _outlined(shared: Path, pairs: CheckTransfers, test: Measured) -> Iterator[str]:
    """Yield how many results are worse within the outline that the page keeps them in."""
    margin, found = versions.resolve(GENERATOR).crop.margin, np.flatnonzero(~lost_faces(pairs))
    shapes = np.full((len(found), pairs.shapes["driver"].shape[1]), np.nan)
    with blendshapes(shared / LANDMARKER) as measure:
        for row, at in enumerate(track(found, "Within the outline")):
            before, after = (pairs.faces[name][at] for name in ("source", "result 1"))
            shapes[row] = measure(Image.fromarray(confined(before, after, margin)))
    distance = np.linalg.norm(shapes - pairs.shapes["driver"][found], axis=1)
    worse = 1.0 - (distance <= test.referee[:, 0])  # a face that is lost counts as worse
    change = _cell(partial(_mean, worse - test.worse), test.people)
    yield "As page, terminal and API show the results, unchanged outside an outline around the"
    yield f"face, {worse.mean():.0%} are worse: a difference of {change}."


def _warned(thresholds: TransferThresholds, test: Measured) -> Bool[np.ndarray, "transfers"]:
    return np.array([bool(thresholds.expression_failure(each, 1.0)) for each in test.metrics])


def _row(
    title: str, test: Measured, rows: np.ndarray, values: np.ndarray, warned: np.ndarray
) -> str:
    values, shown, worse = values[rows], warned[rows].astype(float), test.worse[rows]
    people = test.people[rows]
    cells = (
        _cell(lambda w: float(roc_auc_score(worse, values, sample_weight=w)), people),
        _cell(lambda w: _mean(shown[worse], w[worse]), people),
        _cell(lambda w: _mean(shown[~worse], w[~worse]), people),
    )
    return f"| {title} | " + " | ".join(cells) + " |"


def _cell(statistic: Callable[[np.ndarray], float], people: np.ndarray) -> str:
    """Return a statistic of weighted transfers with its interval."""
    drawn = [statistic(w) for chunk in cluster_weights(people) for w in chunk]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{statistic(np.ones(len(people))):.2f} ({low:.2f} to {high:.2f})"


def _strengths(test: Measured, warned: np.ndarray) -> Iterator[str]:
    """Yield how many of the warned results are worse than the source at other strengths."""
    head, referee, people = test.head[warned], test.referee[warned], test.people[warned]
    before, after = referee[:, 0], referee[:, 1:]
    offered = np.array([_offered(row) for row in head])
    has_offer = offered > 0
    choices = {f"strength {s:g}": after[:, i] for i, s in enumerate(STRENGTHS)}
    shown = np.take_along_axis(after, offered[:, None], 1)[:, 0]
    choices["what the page offers, else strength 1"] = shown
    choices["the best by the referee"] = after.min(1)
    yield f"Of the {len(people)} that are warned of, worse than the source:"
    yield from ("", "| shown | worse |", "|---|---|")
    for name, distance in choices.items():
        worse = (distance > before).astype(float)
        yield f"| {name} | {_cell(partial(_mean, worse), people)} |"
    own = [np.where(has_offer, distance > before, False) for distance in (after[:, 0], shown)]
    weights = has_offer.astype(float)
    first, other = (_cell(partial(_within, each.astype(float), weights), people) for each in own)
    share = _cell(partial(_mean, weights), people)
    yield from (
        "",
        f"The page offers a lower strength for {share} of them. Of these, worse than the",
    )
    yield f"source: at strength 1 {first}, at the offered strength {other}."


def _offered(distances: Float[np.ndarray, "strengths+1"]) -> int:
    """Return the place in STRENGTHS of what the page offers; 0, which is shown, for nothing."""
    before, shown, *lower = distances.tolist()
    found = nearest_strength(dict(zip(STRENGTHS[1:], lower, strict=True)), before, shown)
    return 0 if found is None else STRENGTHS.index(found)


def _within(values: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> float:
    return _mean(values, weights * counted)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ values / weights.sum()) if weights.any() else np.nan


def _measured(pairs: CheckTransfers) -> Measured:
    vectors = {name: _encoded(name, faces) for name, faces in pairs.faces.items()}
    counted = ~lost_faces(pairs)
    names = ("source", *(f"result {s:g}" for s in STRENGTHS))
    shapes = {name: each["blendshapes"] for name, each in vectors.items()}
    referee = np.stack([_apart(pairs.shapes, name, "driver") for name in names], 1)
    head = np.stack([_apart(shapes, name, "driver") for name in names], 1)
    source, driver, result = (vectors[name] for name in ("source", "driver", "result 1"))
    metrics = [
        TransferMetrics(
            before=float(np.linalg.norm(source["expression"][i] - driver["expression"][i])),
            after=float(np.linalg.norm(result["expression"][i] - driver["expression"][i])),
            likeness=float(source["identity"][i] @ result["identity"][i]),
            driver_likeness=float(driver["identity"][i] @ result["identity"][i]),
            blendshapes_before=float(head[i, 0]),
            blendshapes_after=float(head[i, 1]),
        )
        for i in np.flatnonzero(counted)
    ]
    neutral = pairs.shapes["source"][pairs.cases["source emotion"].to_numpy(int) == 0]
    far = np.linalg.norm(pairs.shapes["driver"] - np.nanmean(neutral, axis=0), axis=1)[counted]
    return Measured(
        people=np.unique(pairs.cases["source person"].to_numpy()[counted], return_inverse=True)[1],
        referee=referee[counted],
        head=head[counted],
        metrics=metrics,
        strong=far > np.median(far),
    )


def _encoded(name: str, faces: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the version's encoder gives for faces."""
    model = versions.load(GENERATOR, "cpu", "onnxruntime")
    rows = [model.encode(to_tensor([face])) for face in track(faces, f"Vectors of each {name}")]
    return {output: torch.cat([row[output] for row in rows]).numpy() for output in OUTPUTS}


def _apart(vectors: Vectors, one: str, other: str) -> Float[np.ndarray, "transfers"]:
    return np.asarray(np.linalg.norm(vectors[one] - vectors[other], axis=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with weights/")
    parser.add_argument("data", type=Path, help="folder of the prepared sets")
    parser.add_argument("--count", type=int, default=600, help="transfers")
    parser.add_argument("--cache", type=Path, default=Path("data/bench/self-check"))
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    main(arguments.shared, arguments.data, arguments.count, arguments.cache)
