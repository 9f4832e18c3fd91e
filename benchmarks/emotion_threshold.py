r"""How often answers given as sure are wrong, by the threshold: where NOT_SURE_BELOW comes from.

    python benchmarks/emotion_threshold.py ../shared/data data/ferplus data/lfw-emotion \
        data/london data/ict

First the class prior, fitted to the validation faces of all sets, how many of sfhq's faces are
called neutral, and the test faces' accuracy and recall with the prior left in ("in the wild") and
taken out ("balanced", what the page answers); then the same for each emotion of the first set.

An answer is sure where the likeliest emotion has at least the threshold's probability. The third
table holds a set's test faces and a threshold: the share of them that gets a sure balanced answer,
and the share of those answers that is wrong, with its 95 % interval by bootstrap over faces.

In the last, sources are left out in turn: prior and threshold are fitted on the validation faces
of the other sets. The threshold is the lowest at which that interval stays below MOST_WRONG on each
of them with at least FEWEST faces; the next row has NOT_SURE_BELOW instead. `make results` writes
these tables, the thresholds aside, into docs/results.md. The network has learned
from all sets but sfhq, which holds synthetic people, found by the words that they were asked for:
rough labels, and faces of a kind that no training knew.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
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


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The validation and test faces of each set, sfhq's among the test faces."""

    validation: Mapping[str, Labelled]
    test: Mapping[str, Labelled]
    synthetic: Float[Tensor, "faces labels"]
    """Logits of all of sfhq's faces, also of those without a word for an emotion."""

    @classmethod
    def measured(cls, shared: Path, sets: Iterable[Prepared], reference: str) -> "Sources":
        """Let a registered classifier answer for the faces of sets and for sfhq's, in `shared`."""
        model = versions.load(reference, "cpu")
        validation, test = (_answered(model, sets, split) for split in ("validation", "test"))
        labels, logits = _synthetic(model, shared / SFHQ)
        known = labels >= 0
        test[SFHQ] = Labelled(logits=logits[known], truth=labels[known])
        return cls(validation=validation, test=test, synthetic=logits)

    def synthetic_neutral(self) -> int:
        """Return how many of sfhq's faces are called neutral, the class prior taken out."""
        return int((balanced_logits(self.synthetic, self.prior).argmax(1) == NEUTRAL).sum())

    @cached_property
    def prior(self) -> Float[Tensor, "labels"]:
        """The class prior, fitted to all validation faces."""
        return _prior(self.validation.values())


def main(shared: Path, folders: list[Path], reference: str) -> None:
    """Measure the sets and sfhq, and print the tables."""
    sources = Sources.measured(shared, [Prepared.open(folder) for folder in folders], reference)
    console, prior = Console(file=sys.stdout, width=100), sources.prior
    labels = versions.resolve(reference).labels
    console.print(dict(zip(labels, np.round(prior.tolist(), 6).tolist(), strict=True)))
    neutral = sources.synthetic_neutral()
    console.print(f"{SFHQ}: {neutral} of {len(sources.synthetic)} called neutral (balanced)")
    recalls = recalls_by_emotion(sources)
    for head, *rows in (accuracies(sources), recalls, _thresholds(sources), left_out(sources)):
        table = Table(*head)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _answered(
    model: versions.ProductionModel, sets: Iterable[Prepared], split: str
) -> dict[str, Labelled]:
    found = {}
    for data in sets:
        labels = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)
        rows = data.split(split)
        rows = rows[~np.isnan(labels[rows])]
        logits = torch.from_numpy(
            outputs(GraphModule(model), data, rows, model.version.crop)["logits"]
        )
        found[data.name] = Labelled(logits=logits, truth=torch.from_numpy(labels[rows]).long())
    return found


def _synthetic(
    model: versions.ProductionModel, folder: Path
) -> tuple[Int[Tensor, "faces"], Float[Tensor, "faces labels"]]:
    """Return what sfhq's people were asked for, -1 where the word is no emotion, and logits."""
    cropper, crops, labels = FaceCropper(), [], []
    for path in sorted(folder.rglob("*.jpg")):
        emotion = ASKED_FOR.get(path.stem.partition("_")[0])
        photo = read_photo(path)
        crops.append(cropper.crop(photo, cropper.one(photo), model.version.crop).pixels)
        labels.append(EMOTIONS.index(emotion) if emotion else -1)
    return torch.tensor(labels), torch.from_numpy(model(to_array(crops))["logits"])


def _prior(validation: Iterable[Labelled]) -> Float[Tensor, "labels"]:
    found = list(validation)
    return fitted_prior(torch.cat([f.logits for f in found]), torch.cat([f.truth for f in found]))


def accuracies(sources: Sources) -> list[list[str]]:
    """Return a row for each set and prior, the head first."""
    rows, prior = (
        [["test faces", "prior", "accuracy", "mean recall", "called neutral"]],
        sources.prior,
    )
    for name, faces in sources.test.items():
        for title, answered in (("in the wild", faces), ("balanced", faces.balanced(prior))):
            metrics = emotion_metrics(answered.logits, answered.truth)
            cells = [f"{metrics[key]:.1%}" for key in ("accuracy", "mean_recall")]
            rows.append([f"{name}: {len(faces.truth):,}", title, *cells, answered.neutral])
    return rows


def recalls_by_emotion(sources: Sources) -> list[list[str]]:
    """Return a row for each emotion of the first set, the head first."""
    name, faces = next(iter(sources.test.items()))
    rows = [[f"{name} test faces", "faces", "in the wild", "balanced"]]
    for number, emotion in enumerate(EMOTIONS):
        of_emotion = faces.truth == number
        if of_emotion.any():
            found = [
                f"{float((each.logits.argmax(1) == number)[of_emotion].float().mean()):.0%}"
                for each in (faces, faces.balanced(sources.prior))
            ]
            rows.append([emotion, f"{int(of_emotion.sum()):,}", *found])
    return rows


def _thresholds(sources: Sources) -> list[list[str]]:
    rows, prior = [["test faces", "threshold", "sure", "wrong"]], sources.prior
    for name, faces in sources.test.items():
        for threshold in THRESHOLDS:
            cells = _cells(faces.balanced(prior), threshold)
            rows.append([f"{name}: {len(faces.truth):,}", f"{threshold:.2f}", *cells])
    return rows


def left_out(sources: Sources) -> list[list[str]]:
    """Return two rows for each set, with thresholds fitted without it; the head first."""
    rows = [["left out", "threshold", "sure", "wrong", "called neutral"]]
    for name, faces in sources.test.items():
        others = [each for other, each in sources.validation.items() if other != name]
        prior = _prior(others)
        fitted = [each.balanced(prior) for each in others if len(each.truth) >= FEWEST]
        fits = (t for t in THRESHOLDS if all(each.wrong(t)[2] < MOST_WRONG for each in fitted))
        answered, lowest = faces.balanced(prior), next(fits, None)
        if lowest is None:
            rows.append([name, "none fits", "", "", answered.neutral])
        for threshold in filter(None, (lowest, NOT_SURE_BELOW)):
            cells = _cells(answered, threshold)
            rows.append([name, f"{threshold:.2f}", *cells, answered.neutral])
    return rows


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
