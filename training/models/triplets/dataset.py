"""What triplets are learned from: labelled faces, and threes that named annotators judged."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from registry.crops import CropSpec
from training.datasets import fixed_triplets, votes
from training.datasets.prepared import Prepared
from training.loading.batches import Faces, Items, balanced
from training.metrics.triplet_accuracy import TYPES
from training.models.triplets.sampling import Triplets

NOBODY = -1
"""In place of an annotator where fewer answered than the most did."""


class AnnotatedTriplets(NamedTuple):
    """AnnotatedTriplets of one set or of several with every annotator's answer."""

    faces: Int[np.ndarray, "threes 3"]
    kind: Int[np.ndarray, "threes"]
    annotator: Int[np.ndarray, "threes answers"]
    """Numbers of annotators, NOBODY where there are fewer."""
    answer: Int[np.ndarray, "threes answers"]
    """The odd face, 1 to 3."""


class TripletDataset(Items):
    """The training faces of some sets, one by one where labelled, in threes where judged.

    An item is a labelled face or a judged three; a batch holds the faces of all its items, those of
    the threes last.

    Args:
        sets: prepared sets.
        spec: how faces are cut.
        simulated: how many annotators stand in for the unnamed ones of labelled faces.
    """

    def __init__(self, sets: Sequence[Prepared], spec: CropSpec, simulated: int) -> None:
        labelled = [_labelled(data) for data in sets]
        said = np.concatenate(
            [votes.counts(d.index)[r] for d, r in zip(sets, labelled, strict=True)]
        )
        self.emotions: np.ndarray = said.argmax(1)
        self.sources = np.repeat(np.arange(len(sets)), [len(rows) for rows in labelled])
        self.labelled = len(said)
        self.names: list[str] = [f"simulated/{i}" for i in range(simulated)] if len(said) else []
        threes = [self._judged(data) for data in sets]
        shown = [np.unique(each.faces) for each in threes]
        starts = self.labelled + np.cumsum([0, *map(len, shown)])
        self.threes = _joined(
            [
                each._replace(faces=start + np.searchsorted(rows, each.faces))
                for each, rows, start in zip(threes, shown, starts[:-1], strict=True)
            ]
        )
        blank = np.zeros((int(starts[-1]) - len(said), said.shape[1]), dtype=said.dtype)
        opinions = np.concatenate([said, blank])
        targets = {"shares": votes.shares(opinions), "single": opinions.sum(1) <= 1}
        self.faces = Faces([*sets, *sets], [*labelled, *shown], spec, targets)

    def _judged(self, data: Prepared) -> AnnotatedTriplets:
        judged, names = _answered(data)
        start = len(self.names)
        self.names += [f"{data.name}/{name}" for name in names]
        known = judged.annotator >= 0
        return judged._replace(annotator=np.where(known, judged.annotator + start, NOBODY))

    @property
    def annotators(self) -> int:
        """How many annotators there are, simulated ones first."""
        return len(self.names)

    def __len__(self) -> int:
        return self.labelled + len(self.threes.kind)

    def weights(
        self, balance: float, source_balance: float, annotated_share: float
    ) -> Float[np.ndarray, "items"]:
        """Return how often each item is to be drawn.

        Args:
            balance: 0 draws labelled faces as they come, 1 every emotion equally often.
            source_balance: the same for the sets they are of.
            annotated_share: of the faces drawn, how many come in annotated threes, where both are.
        """
        single = balanced(self.emotions, balance) * balanced(self.sources, source_balance)
        threes = np.ones(len(self.threes.kind))
        if not len(single) or not len(threes):
            return np.concatenate([single, threes])
        per_three = annotated_share / 3 / threes.sum()
        return np.concatenate([single / single.sum() * (1 - annotated_share), threes * per_three])

    def items(self, faces: int, weights: Float[np.ndarray, "items"]) -> int:
        """Return how many items make about so many faces."""
        threes = weights[self.labelled :].sum() / weights.sum()
        return max(1, round(faces / float(1 + 2 * threes)))

    def __getitems__(self, items: list[int]) -> dict[str, Tensor]:
        """Return the faces of the items as `Faces` does, and what is known about their threes.

        `three` (threes, 3) are positions in the batch, `annotator` and `answer` (threes, answers)
        as in `AnnotatedTriplets`, `kind` (threes,) as in `sampling`.
        """
        wanted = np.array(items)
        single, three = wanted[wanted < self.labelled], wanted[wanted >= self.labelled]
        chosen = three - self.labelled
        batch = self.faces.__getitems__(
            [*single.tolist(), *self.threes.faces[chosen].ravel().tolist()]
        )
        place = len(single) + torch.arange(3 * len(three)).view(-1, 3)
        fields = {
            name: getattr(self.threes, name)[chosen] for name in AnnotatedTriplets._fields[1:]
        }
        return batch | {"three": place} | {k: torch.from_numpy(v) for k, v in fields.items()}


def as_triplets(
    three: Int[Tensor, "threes 3"],
    annotator: Int[Tensor, "threes answers"],
    answer: Int[Tensor, "threes answers"],
    kind: Int[Tensor, "threes"],
) -> Triplets:
    """Return one triplet for every answer given."""
    at, which = torch.nonzero(annotator != NOBODY, as_tuple=True)
    order = (answer[at, which].long()[:, None] + torch.tensor([0, 1, 2], device=at.device)) % 3
    anchor, positive, negative = three[at].gather(1, order).unbind(1)
    return Triplets(
        anchor=anchor,
        positive=positive,
        negative=negative,
        annotator=annotator[at, which].long(),
        type=kind[at].long(),
    )


def _labelled(data: Prepared) -> Int[np.ndarray, "faces"]:
    train = data.split("train")
    clear: np.ndarray = train[votes.is_clear(data.index)[train]]
    return clear


def _answered(data: Prepared) -> tuple[AnnotatedTriplets, list[str]]:
    """Return the training threes of a set with their answers, and the names of who answered.

    Whoever answered most comes first. A list without annotators counts as one person's.
    """
    asked, faces = fixed_triplets.listed(data, "train")
    said = _said(data, asked)
    number = pd.Series(range(len(asked)), index=asked.index)
    said = said.assign(three=said["triplet"].map(number)).dropna(subset=["three"])
    order = said["annotator"].value_counts().index
    code = pd.Series(range(len(order)), index=order)
    place = said.groupby("three").cumcount().to_numpy()
    shape = (len(asked), int(place.max(initial=0)) + 1)
    annotator, answer = np.full(shape, NOBODY), np.ones(shape, dtype=np.int64)
    three = said["three"].to_numpy(dtype=np.int64)
    annotator[three, place] = said["annotator"].map(code).to_numpy(dtype=np.int64)
    answer[three, place] = said["answer"].to_numpy(dtype=np.int64)
    kinds = {name: number for number, name in enumerate(TYPES, start=1)}
    kind = asked["type"].map(kinds).to_numpy(dtype=np.int64)
    given: Bool[np.ndarray, threes] = (annotator != NOBODY).any(1)
    whole = AnnotatedTriplets(faces, kind, annotator, answer)
    return AnnotatedTriplets(*(each[given] for each in whole)), [str(name) for name in order]


def _said(data: Prepared, asked: pd.DataFrame) -> pd.DataFrame:
    if data.answers is not None:
        return data.answers.astype({"annotator": str})
    answered = asked[asked["answer"].notna()]
    return pd.DataFrame(
        {"triplet": answered.index, "annotator": "everybody", "answer": answered["answer"]}
    )


def _joined(several: Sequence[AnnotatedTriplets]) -> AnnotatedTriplets:
    widest = max(each.annotator.shape[1] for each in several)

    def wide(values: np.ndarray, filler: int) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, widest - values.shape[1])), constant_values=filler)

    return AnnotatedTriplets(
        np.concatenate([each.faces for each in several]),
        np.concatenate([each.kind for each in several]),
        np.concatenate([wide(each.annotator, NOBODY) for each in several]),
        np.concatenate([wide(each.answer, 1) for each in several]),
    )
