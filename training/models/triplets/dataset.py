"""The training data of triplet models: labelled faces, and triplets with annotators' answers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from registry.crops import CropSpec
from training.datasets import fixed_triplets, votes
from training.datasets.prepared import Prepared
from training.loading.batches import Faces, Items, balanced
from training.metrics.triplet_accuracy import TYPES
from training.models.triplets.sampling import Triplets, drop_unused

NO_ANNOTATOR = -1
"""Fills the annotators of triplets with fewer answers than the longest row."""


class AnnotatedTriplets(NamedTuple):
    """Triplets with every annotator's answer, of one set or of several."""

    faces: Int[np.ndarray, "triplets 3"]
    """Row numbers of a set, or item numbers of a `TripletDataset`."""
    type: Int[np.ndarray, "triplets"]
    """One of `sampling.TRIPLET_TYPES`."""
    annotator: Int[np.ndarray, "triplets answers"]
    """Number of the annotator; NO_ANNOTATOR at the end of shorter rows."""
    answer: Int[np.ndarray, "triplets answers"]
    """The odd face, 1 to 3."""


class TripletDataset(Items):
    """Labelled training faces and annotated training triplets of some sets.

    An item is a labelled face (numbers below `labelled_count`) or an annotated triplet (the rest).
    A batch holds the faces of all its items: first the labelled ones, then three per triplet.

    Args:
        sets: prepared sets.
        spec: how faces are cropped.
        simulated: number of simulated annotators, who answer triplets of labelled faces.
    """

    def __init__(self, sets: Sequence[Prepared], spec: CropSpec, simulated: int) -> None:
        labelled = [_labelled_rows(data) for data in sets]
        counts = np.concatenate(
            [votes.counts(d.index)[r] for d, r in zip(sets, labelled, strict=True)]
        )
        self.labelled_count = len(counts)
        self.emotions: np.ndarray = counts.argmax(1)
        self.sources = np.repeat(np.arange(len(sets)), [len(rows) for rows in labelled])
        self.annotator_names: list[str] = (
            [f"simulated/{i}" for i in range(simulated)] if self.labelled_count else []
        )
        triplets = [self._annotated(data) for data in sets]
        rows = [np.unique(each.faces) for each in triplets]
        starts = self.labelled_count + np.cumsum([0, *map(len, rows)])
        self.annotated = _concatenated(
            [
                each._replace(faces=start + np.searchsorted(own, each.faces))
                for each, own, start in zip(triplets, rows, starts[:-1], strict=True)
            ]
        )
        unlabelled = int(starts[-1]) - self.labelled_count
        counts = np.pad(counts, ((0, unlabelled), (0, 0)))
        targets = {"shares": votes.shares(counts), "single_vote": counts.sum(1) <= 1}
        self.faces = Faces([*sets, *sets], [*labelled, *rows], spec, targets)

    def _annotated(self, data: Prepared) -> AnnotatedTriplets:
        """Return a set's annotated triplets; its annotators join `annotator_names`."""
        triplets, names = _answered(data)
        start = len(self.annotator_names)
        self.annotator_names += [f"{data.name}/{name}" for name in names]
        numbers = np.where(
            triplets.annotator == NO_ANNOTATOR, NO_ANNOTATOR, triplets.annotator + start
        )
        return triplets._replace(annotator=numbers)

    @property
    def annotators(self) -> int:
        """Number of annotators; the simulated ones come first."""
        return len(self.annotator_names)

    def __len__(self) -> int:
        return self.labelled_count + len(self.annotated.type)

    def weights(
        self, balance: float, source_balance: float, annotated_share: float
    ) -> Float[np.ndarray, "items"]:
        """Return the sampling weight of each item.

        Args:
            balance: 0 draws labelled faces as often as they occur, 1 every emotion equally often.
            source_balance: the same for the sets that the labelled faces belong to.
            annotated_share: share of a batch's faces that belong to annotated triplets, 0 to 1;
                without effect if the data has only labelled faces or only annotated triplets.
        """
        single = balanced(self.emotions, balance) * balanced(self.sources, source_balance)
        triplets = np.ones(len(self.annotated.type))
        if not len(single) or not len(triplets):
            return np.concatenate([single, triplets])
        per_triplet = annotated_share / 3 / triplets.sum()
        return np.concatenate(
            [single / single.sum() * (1 - annotated_share), triplets * per_triplet]
        )

    def items_per_batch(self, faces: int, weights: Float[np.ndarray, "items"]) -> int:
        """Return how many items, drawn by their weights, hold about `faces` faces."""
        triplets = weights[self.labelled_count :].sum() / weights.sum()
        return max(1, round(faces / float(1 + 2 * triplets)))

    def __getitems__(self, items: list[int]) -> dict[str, Tensor]:
        """Return a batch: what `Faces` returns of all faces, and the annotated triplets.

        The triplets are `triplet` (triplets, 3), the positions of their faces in the batch, and
        `type`, `annotator` and `answer` as in `AnnotatedTriplets`.
        """
        numbers = np.array(items)
        single = numbers[numbers < self.labelled_count]
        triplets = numbers[numbers >= self.labelled_count] - self.labelled_count
        batch = self.faces.__getitems__(
            [*single.tolist(), *self.annotated.faces[triplets].ravel().tolist()]
        )
        positions = len(single) + torch.arange(3 * len(triplets)).view(-1, 3)
        fields = {
            name: torch.from_numpy(getattr(self.annotated, name)[triplets])
            for name in AnnotatedTriplets._fields[1:]
        }
        return batch | {"triplet": positions} | fields


def as_triplets(batch: Mapping[str, Tensor]) -> Triplets:
    """Return the annotated triplets of a batch of `TripletDataset`, one for every answer."""
    triplet, answers = batch["triplet"], batch["annotator"].shape[1]
    used, annotator, odd, faces, kind = drop_unused(
        (batch["annotator"] != NO_ANNOTATOR).flatten(),
        batch["annotator"].flatten().long(),
        batch["answer"].flatten().long(),
        triplet.repeat_interleave(answers, 0),
        batch["type"].long().repeat_interleave(answers, 0),
    )
    order = (odd[:, None] + torch.arange(3, device=odd.device)) % 3
    anchor, positive, negative = faces.gather(1, order).unbind(1)
    return Triplets(
        anchor=anchor,
        positive=positive,
        negative=negative,
        annotator=annotator.clamp(min=0),
        type=kind,
        used=used,
    )


def _labelled_rows(data: Prepared) -> Int[np.ndarray, "faces"]:
    train = data.split("train")
    rows: np.ndarray = train[votes.is_clear(data.index)[train]]
    return rows


def _answered(data: Prepared) -> tuple[AnnotatedTriplets, list[str]]:
    """Return the training triplets of a set that have answers, and the names of the annotators.

    Annotators are sorted by their number of answers, most first.
    """
    table, faces = fixed_triplets.listed(data, "train")
    answers = _answers(data, table)
    number = pd.Series(range(len(table)), index=table.index)
    answers = answers.assign(row=answers["triplet"].map(number)).dropna(subset=["row"])
    names = answers["annotator"].value_counts().index
    code = pd.Series(range(len(names)), index=names)
    column = answers.groupby("row").cumcount().to_numpy()
    shape = (len(table), int(column.max(initial=0)) + 1)
    annotator, answer = np.full(shape, NO_ANNOTATOR), np.ones(shape, dtype=np.int64)
    row = answers["row"].to_numpy(dtype=np.int64)
    annotator[row, column] = answers["annotator"].map(code).to_numpy(dtype=np.int64)
    answer[row, column] = answers["answer"].to_numpy(dtype=np.int64)
    types = {name: number for number, name in enumerate(TYPES, start=1)}
    triplet_type = table["type"].map(types).to_numpy(dtype=np.int64)
    has_answer = (annotator != NO_ANNOTATOR).any(1)
    triplets = AnnotatedTriplets(faces, triplet_type, annotator, answer)
    return AnnotatedTriplets(*(each[has_answer] for each in triplets)), [*map(str, names)]


def _answers(data: Prepared, table: pd.DataFrame) -> pd.DataFrame:
    """Return columns triplet, annotator, answer; without names there is a single annotator."""
    if data.answers is not None:
        return data.answers.astype({"annotator": str})
    answered = table[table["answer"].notna()]
    return pd.DataFrame(
        {"triplet": answered.index, "annotator": "everybody", "answer": answered["answer"]}
    )


def _concatenated(sets: Sequence[AnnotatedTriplets]) -> AnnotatedTriplets:
    """Return the triplets of all sets, rows of answers filled up to the same length."""
    longest = max(each.annotator.shape[1] for each in sets)

    def filled(values: np.ndarray, filler: int) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, longest - values.shape[1])), constant_values=filler)

    return AnnotatedTriplets(
        np.concatenate([each.faces for each in sets]),
        np.concatenate([each.type for each in sets]),
        np.concatenate([filled(each.annotator, NO_ANNOTATOR) for each in sets]),
        np.concatenate([filled(each.answer, 1) for each in sets]),
    )
