r"""How often answers given as sure are wrong, by the threshold: where NOT_SURE_BELOW comes from.

    python benchmarks/emotion_threshold.py ../shared/data data/ferplus data/lfw-emotion \
        data/london data/ict

First the class prior, fitted to the validation faces of all sets, and the test faces' accuracy and
recall with the prior left in ("in the wild") and taken out ("balanced", what the page answers).

An answer is sure where the likeliest emotion has at least the threshold's probability. The second
table holds a set's test faces and a threshold: the share of them that gets a sure balanced answer,
and the share of those answers that is wrong, with its 95 % interval by bootstrap over faces.

In the third, sources are left out in turn: prior and threshold are fitted on the validation faces
of the other sets. The threshold is the lowest at which that interval stays below MOST_WRONG on each
of them with at least FEWEST faces; the next row has NOT_SURE_BELOW instead. The network has learned
from all sets but sfhq, which holds synthetic people, found by the words that they were asked for:
rough labels, and faces of a kind that no training knew.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.console import Console
from rich.table import Table
from torch import Tensor

from demo.predictors import NOT_SURE_BELOW
from registry import versions
from registry.catalog import EMOTIONS
from registry.crops import to_array
from registry.faces import FaceCropper
from registry.metrics.bootstrap import cluster_weights
from registry.metrics.estimates import PERCENTILES
from registry.photos import read_photo
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs
from training.metrics.classification import balanced_logits, emotion_metrics, fitted_prior

MOST_WRONG, FEWEST = 0.15, 100
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(8, 19))
ASKED_FOR = {"angry": "anger", "surprised": "surprise", "smiling": "happy", "sad": "sad"}
"""The words that sfhq's people were asked for by, and the emotions they mean."""
SFHQ = "sfhq"
NEUTRAL = EMOTIONS.index("neutral")


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Logits of a set's labelled faces, and their labels as numbers."""

    logits: Float[Tensor, "faces labels"]
    truth: Int[Tensor, "faces"]

    def balanced(self, prior: Float[Tensor, "labels"]) -> "Labelled":
        """Return the faces with the logits for equally likely labels."""
        return Labelled(logits=balanced_logits(self.logits, prior), truth=self.truth)

    @property
    def neutral(self) -> str:
        """How many faces are called neutral, of how many."""
        called = int((self.logits.argmax(1) == NEUTRAL).sum())
        true = int((self.truth == NEUTRAL).sum())
        return f"{called:,} ({true:,} are)"

    def sure(self, threshold: float) -> float:
        """Return the share of the faces that gets a sure answer."""
        return float((self._probability >= threshold).mean())

    def wrong(self, threshold: float) -> tuple[float, float, float]:
        """Return which share of the sure answers is wrong, and its interval."""
        sure = (self._probability >= threshold).astype(float)
        wrong = sure * (self.logits.argmax(1) != self.truth).numpy()
        drawn = np.concatenate(list(cluster_weights(np.arange(len(sure)))))
        low, high = np.nanpercentile(drawn @ wrong / (drawn @ sure), PERCENTILES).tolist()
        return float(wrong.sum() / sure.sum()), low, high

    @property
    def _probability(self) -> Float[np.ndarray, "faces"]:
        found: np.ndarray = self.logits.softmax(1).amax(1).double().numpy()
        return found


def main(shared: Path, folders: list[Path], reference: str) -> None:
    """Measure the sets and sfhq, and print the tables."""
    model, console = versions.load(reference, "cpu"), Console(file=sys.stdout, width=100)
    validation, test = (_prepared(model, folders, split) for split in ("validation", "test"))
    test[SFHQ] = _synthetic(model, shared / SFHQ)
    prior = _prior(validation.values())
    console.print(
        dict(zip(model.version.labels, np.round(prior.tolist(), 6).tolist(), strict=True))
    )
    console.print(_recalls(test, prior), _thresholds(test, prior), _left_out(validation, test))


def _prepared(
    model: versions.ProductionModel, folders: Iterable[Path], split: str
) -> dict[str, Labelled]:
    found = {}
    for data in map(Prepared.open, folders):
        labels = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)
        rows = data.split(split)
        rows = rows[~np.isnan(labels[rows])]
        logits = torch.from_numpy(
            outputs(GraphModule(model), data, rows, model.version.crop)["logits"]
        )
        found[data.name] = Labelled(logits=logits, truth=torch.from_numpy(labels[rows]).long())
    return found


def _synthetic(model: versions.ProductionModel, folder: Path) -> Labelled:
    cropper, crops, labels = FaceCropper(), [], []
    for path in sorted(folder.rglob("*.jpg")):
        emotion = ASKED_FOR.get(path.stem.partition("_")[0])
        if emotion:
            photo = read_photo(path)
            crops.append(cropper.crop(photo, cropper.one(photo), model.version.crop).pixels)
            labels.append(EMOTIONS.index(emotion))
    logits = torch.from_numpy(model(to_array(crops))["logits"])
    return Labelled(logits=logits, truth=torch.tensor(labels))


def _prior(validation: Iterable[Labelled]) -> Float[Tensor, "labels"]:
    found = list(validation)
    return fitted_prior(torch.cat([f.logits for f in found]), torch.cat([f.truth for f in found]))


def _recalls(test: Mapping[str, Labelled], prior: Float[Tensor, "labels"]) -> Table:
    table = Table("test faces", "prior", "accuracy", "mean recall", "called neutral")
    for name, faces in test.items():
        for title, answered in (("in the wild", faces), ("balanced", faces.balanced(prior))):
            metrics = emotion_metrics(answered.logits, answered.truth)
            cells = [f"{metrics[key]:.1%}" for key in ("accuracy", "mean_recall")]
            table.add_row(f"{name}: {len(faces.truth):,}", title, *cells, answered.neutral)
    return table


def _thresholds(test: Mapping[str, Labelled], prior: Float[Tensor, "labels"]) -> Table:
    table = Table("test faces", "threshold", "sure", "wrong")
    for name, faces in test.items():
        for threshold in THRESHOLDS:
            cells = _cells(faces.balanced(prior), threshold)
            table.add_row(f"{name}: {len(faces.truth):,}", f"{threshold:.2f}", *cells)
    return table


def _left_out(validation: Mapping[str, Labelled], test: Mapping[str, Labelled]) -> Table:
    table = Table("left out", "threshold", "sure", "wrong", "called neutral")
    for name, faces in test.items():
        others = [each for other, each in validation.items() if other != name]
        prior = _prior(others)
        fitted = [each.balanced(prior) for each in others if len(each.truth) >= FEWEST]
        fits = (t for t in THRESHOLDS if all(each.wrong(t)[2] < MOST_WRONG for each in fitted))
        answered = faces.balanced(prior)
        for threshold in (next(fits, THRESHOLDS[-1]), NOT_SURE_BELOW):
            table.add_row(name, f"{threshold:.2f}", *_cells(answered, threshold), answered.neutral)
    return table


def _cells(faces: Labelled, threshold: float) -> tuple[str, str]:
    value, low, high = faces.wrong(threshold)
    return f"{faces.sure(threshold):.1%}", f"{value:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with the shared data")
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets")
    parser.add_argument("--version", default="emotion@production", help="the classifier")
    arguments = parser.parse_args()
    main(arguments.shared, arguments.folders, arguments.version)
