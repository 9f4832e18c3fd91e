"""FEC's rows as a set: distinct faces, splits, fixed triplets and each annotator's answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int, UInt64

from training.datasets.fec.face_crops import face_key, name_of
from training.datasets.fec.fec_csv import ANNOTATORS, EDGES, PLACES, TYPES, stack_columns
from training.datasets.fec.held_out import draw_held_out
from training.datasets.prepared import SPLITS

MOST_ANSWERS = len(ANNOTATORS)
TRAIN, VALIDATION, TEST = range(3)
"""Indices into SPLITS."""


@dataclass(frozen=True, kw_only=True)
class FecTriplets:
    """The contents of FEC's files.

    Args:
        faces: url, left, right, top, bottom, member, name, split.
        table: fixed triplets; see `RawDataset.triplets`.
        answers: see `RawDataset.answers`.
        notes: what was dropped, one sentence each.
    """

    faces: pd.DataFrame
    table: pd.DataFrame
    answers: pd.DataFrame
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Usable rows of FEC's files; their faces are numbered."""

    table: pa.Table
    is_test: Bool[np.ndarray, "rows"]
    faces: pd.DataFrame
    face_numbers: Int[np.ndarray, "rows 3"]
    """Row numbers of the three faces in `faces`."""

    @property
    def digests(self) -> UInt64[np.ndarray, "rows"]:
        """A digest of each row's three faces, independent of their order."""
        numbers = np.array([int(name, 16) for name in self.faces["name"]], np.uint64)
        return np.asarray(numbers[self.face_numbers].sum(axis=1, dtype=np.uint64))


def build_triplets(
    tables: Mapping[str, pa.Table], *, min_agreement: int, limit: int | None = None
) -> FecTriplets:
    """Return the rows of FEC's files as a set.

    Args:
        tables: split of a file, train or test -> its usable rows.
        min_agreement: how many of six annotators must agree on the answer of a triplet for
            validation or test; the same share if there are fewer. In train only ties have no
            answer.
        limit: number of rows to take of each table, those with the smallest digests.
    """
    rows = _number_faces(tables)
    if limit is not None:
        rows = _limit_rows(rows, limit)
    face_splits = _split_faces(rows)
    splits = face_splits[rows.face_numbers]
    one_split = (splits == splits[:, :1]).all(axis=1)
    usable = one_split & ((splits[:, 0] == TEST) == rows.is_test)
    answers = _answers(rows.table)[usable]
    needed = np.where(splits[usable, 0] == TRAIN, 0, min_agreement)
    table = _triplet_table(rows, usable, splits, _agreed_answers(answers, needed))
    return FecTriplets(
        faces=rows.faces.assign(split=np.array(SPLITS, object)[face_splits]),
        table=table,
        answers=_answer_table(rows.table.filter(pa.array(usable)), answers),
        notes=[_note_dropped(rows.table, usable), *_note_unanswered(table)],
    )


def _number_faces(tables: Mapping[str, pa.Table]) -> _Rows:
    table = pa.concat_tables(tables.values()).unify_dictionaries()
    is_test = np.repeat([split == "test" for split in tables], [len(t) for t in tables.values()])
    faces, face_numbers = _distinct_faces(table)
    return _Rows(table=table, is_test=is_test, faces=faces, face_numbers=face_numbers)


def _distinct_faces(table: pa.Table) -> tuple[pd.DataFrame, Int[np.ndarray, "rows 3"]]:
    """Return the distinct faces in the order of their first appearance, and each row's three."""
    addresses = stack_columns(table, [f"url_{i}" for i in PLACES])
    boxes = {
        edge: np.concatenate([table[f"{edge}_{i}"].to_numpy() for i in PLACES]) for edge in EDGES
    }
    all_faces = pd.DataFrame({"url": addresses.codes, **boxes})
    numbers = all_faces.groupby([*all_faces], sort=False).ngroup().to_numpy()
    faces = all_faces.drop_duplicates(ignore_index=True)
    faces = faces.assign(url=addresses.categories.to_numpy()[faces["url"]])
    keys = [face_key(str(url), tuple(box)) for url, *box in faces.itertuples(index=False)]
    faces = faces.assign(member=keys, name=[name_of(key) for key in keys])
    return faces, numbers.reshape(len(PLACES), -1).T


def _limit_rows(rows: _Rows, limit: int) -> _Rows:
    chosen = np.zeros(len(rows.is_test), bool)
    order = np.argsort(rows.digests, kind="stable")
    for is_test in (False, True):
        chosen[order[rows.is_test[order] == is_test][:limit]] = True
    table = rows.table.filter(pa.array(chosen))
    faces, face_numbers = _distinct_faces(table)
    return _Rows(table=table, is_test=rows.is_test[chosen], faces=faces, face_numbers=face_numbers)


def _split_faces(rows: _Rows) -> Int[np.ndarray, "faces"]:
    """Return the split of each face, which is its photo's: test first, then what is held out."""
    photo_of = pd.factorize(rows.faces["url"])[0]
    photos = photo_of[rows.face_numbers]
    splits = np.full(photo_of.max() + 1, TRAIN)
    splits[photos[rows.is_test]] = TEST
    in_train = (splits[photos] == TRAIN).all(axis=1)
    held_out = draw_held_out(photos[in_train], rows.digests[in_train])
    splits[: len(held_out)][held_out] = VALIDATION
    return splits[photo_of]


def _answers(table: pa.Table) -> Int[np.ndarray, "rows annotators"]:
    return np.column_stack([table[f"answer_{j}"].to_numpy() for j in ANNOTATORS])


def _agreed_answers(
    answers: Int[np.ndarray, "rows annotators"], needed: Int[np.ndarray, "rows"]
) -> Int[np.ndarray, "rows"]:
    """Return the face that most answers name, 1 to 3; 0 for a tie or too few equal answers.

    Args:
        answers: 1 to 3; 0 for none.
        needed: how many of six answers must be equal; the same share if there are fewer.
    """
    votes = np.stack([(answers == i).sum(axis=1) for i in PLACES], axis=1)
    most = votes.max(axis=1)
    no_tie = (votes == most[:, None]).sum(axis=1) == 1
    enough = most * MOST_ANSWERS >= needed * votes.sum(axis=1)
    return np.where(no_tie & enough, votes.argmax(axis=1) + 1, 0)


def _triplet_table(
    rows: _Rows,
    usable: Bool[np.ndarray, "rows"],
    splits: Int[np.ndarray, "rows 3"],
    agreed: Int[np.ndarray, "usable"],
) -> pd.DataFrame:
    names = rows.faces["name"].to_numpy()[rows.face_numbers[usable]]
    return pd.DataFrame(
        {
            **{f"name_{i}": names[:, i - 1] for i in PLACES},
            "type": stack_columns(rows.table, ["type"]).astype(object)[usable],
            "annotator": None,
            "answer": pd.Series([odd or None for odd in agreed.tolist()], dtype=object),
            "split": np.array(SPLITS, object)[splits[usable, 0]],
        }
    )


def _answer_table(table: pa.Table, answers: Int[np.ndarray, "rows annotators"]) -> pd.DataFrame:
    """Return each annotator's answer about each triplet, including ties."""
    names = stack_columns(table, [f"annotator_{j}" for j in ANNOTATORS])
    codes = names.codes.reshape(MOST_ANSWERS, -1).T
    triplet, place = np.nonzero(answers)
    annotator = pd.Categorical.from_codes(codes[triplet, place], names.categories)
    return pd.DataFrame(
        {
            "triplet": triplet,
            "annotator": annotator.remove_unused_categories(),
            "answer": answers[triplet, place],
        }
    )


def _note_dropped(table: pa.Table, usable: Bool[np.ndarray, "rows"]) -> str:
    dropped = pd.Series(stack_columns(table, ["type"]).astype(object)[~usable]).value_counts()
    by_type = ", ".join(f"{name} {dropped.get(name, 0):,}" for name in TYPES)
    return (
        f"{(~usable).sum():,} triplets dropped whose photos are in different splits, or in both "
        f"files: {by_type}."
    )


def _note_unanswered(triplets: pd.DataFrame) -> list[str]:
    """Return the number of triplets of each split without an agreed answer, one sentence each."""
    unanswered = triplets["answer"].isna().groupby(triplets["split"]).sum()
    return [
        f"{count:,} triplets of {split} have no answer: a tie"
        + ("." if split == "train" else ", or too few agree.")
        for split, count in unanswered.items()
    ]
