"""FecCsv as a set: distinct faces, their splits, fixed triplets and everybody's answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int, UInt64

from training.datasets.fec.face_crops import member_of, name_of
from training.datasets.fec.fec_csv import EDGES, PLACES, RATERS, TYPES, strings
from training.datasets.fec.held_out import held_out
from training.datasets.prepared import SPLITS

RATED = len(RATERS)
TRAIN, VALIDATION, TEST = range(3)
"""Places in SPLITS."""


@dataclass(frozen=True, kw_only=True)
class FecTriplets:
    """All that comparisons say.

    `faces` has url, left, right, top, bottom, member, name, split; see `Reading` for `triplets` and
    `answers`.
    """

    faces: pd.DataFrame
    triplets: pd.DataFrame
    answers: pd.DataFrame
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Rows of comparisons, as numbers."""

    table: pa.Table
    tested: Bool[np.ndarray, "rows"]
    faces: pd.DataFrame
    shown: Int[np.ndarray, "rows 3"]
    """Places of the three faces in `faces`."""

    @property
    def digests(self) -> UInt64[np.ndarray, "rows"]:
        """Return a digest of each row's three faces, whatever their order."""
        numbers = np.array([int(name, 16) for name in self.faces["name"]], np.uint64)
        return np.asarray(numbers[self.shown].sum(axis=1, dtype=np.uint64))


def opinions(
    tables: Mapping[str, pa.Table], *, min_agreement: int, limit: int | None = None
) -> FecTriplets:
    """Return comparisons as a set.

    Args:
        tables: usable rows of train, of test, or of both.
        min_agreement: of six people, on the answer of a triplet that is measured against; the same
            part of them where there are fewer. In train ties alone have no answer.
        limit: rows to take of each table, those with the smallest digests.
    """
    asked = _asked(tables)
    if limit is not None:
        asked = _limited(asked, limit)
    splits = _splits(asked)
    rows = splits[asked.shown]
    kept = (rows == rows[:, :1]).all(axis=1) & ((rows[:, 0] == TEST) == asked.tested)
    answers = _answers(asked.table)[kept]
    wanted = np.where(rows[kept, 0] == TRAIN, 0, min_agreement)
    triplets = _triplets(asked, kept, rows, _agreed(answers, wanted))
    return FecTriplets(
        faces=asked.faces.assign(split=np.array(SPLITS, object)[splits]),
        triplets=triplets,
        answers=_said(asked.table.filter(pa.array(kept)), answers),
        notes=[_dropped(asked.table, kept), *_open(triplets)],
    )


def _asked(tables: Mapping[str, pa.Table]) -> _Asked:
    table = pa.concat_tables(tables.values()).unify_dictionaries()
    tested = np.repeat([split == "test" for split in tables], [len(t) for t in tables.values()])
    faces, shown = _faces(table)
    return _Asked(table=table, tested=tested, faces=faces, shown=shown)


def _faces(table: pa.Table) -> tuple[pd.DataFrame, Int[np.ndarray, "rows 3"]]:
    """Return the distinct faces in the order of their first appearance, and each row's three."""
    addresses = strings(table, [f"url_{i}" for i in PLACES])
    boxes = {
        edge: np.concatenate([table[f"{edge}_{i}"].to_numpy() for i in PLACES]) for edge in EDGES
    }
    all_faces = pd.DataFrame({"url": addresses.codes, **boxes})
    numbers = all_faces.groupby([*all_faces], sort=False).ngroup().to_numpy()
    faces = all_faces.drop_duplicates(ignore_index=True)
    faces = faces.assign(url=addresses.categories.to_numpy()[faces["url"]])
    members = [member_of(str(url), tuple(box)) for url, *box in faces.itertuples(index=False)]
    faces = faces.assign(member=members, name=[name_of(member) for member in members])
    return faces, numbers.reshape(len(PLACES), -1).T


def _limited(asked: _Asked, limit: int) -> _Asked:
    chosen = np.zeros(len(asked.tested), bool)
    order = np.argsort(asked.digests, kind="stable")
    for tested in (False, True):
        chosen[order[asked.tested[order] == tested][:limit]] = True
    table = asked.table.filter(pa.array(chosen))
    faces, shown = _faces(table)
    return _Asked(table=table, tested=asked.tested[chosen], faces=faces, shown=shown)


def _splits(asked: _Asked) -> Int[np.ndarray, "faces"]:
    """Return each face's split, which is its photo's: test wins, then what is held out."""
    photo_of = pd.factorize(asked.faces["url"])[0]
    photos = photo_of[asked.shown]
    splits = np.full(photo_of.max() + 1, TRAIN)
    splits[photos[asked.tested]] = TEST
    free = (splits[photos] == TRAIN).all(axis=1)
    held = held_out(photos[free], asked.digests[free])
    splits[: len(held)][held] = VALIDATION
    return splits[photo_of]


def _answers(table: pa.Table) -> Int[np.ndarray, "rows raters"]:
    return np.column_stack([table[f"answer_{j}"].to_numpy() for j in RATERS])


def _agreed(
    answers: Int[np.ndarray, "rows raters"], wanted: Int[np.ndarray, "rows"]
) -> Int[np.ndarray, "rows"]:
    """Return the odd face by most answers; 0 for a tie, or fewer than `wanted` of six."""
    votes = np.stack([(answers == i).sum(axis=1) for i in PLACES], axis=1)
    most = votes.max(axis=1)
    clear = (votes == most[:, None]).sum(axis=1) == 1
    enough = most * RATED >= wanted * votes.sum(axis=1)
    return np.where(clear & enough, votes.argmax(axis=1) + 1, 0)


def _triplets(
    asked: _Asked,
    kept: Bool[np.ndarray, "rows"],
    rows: Int[np.ndarray, "rows 3"],
    agreed: Int[np.ndarray, "kept"],
) -> pd.DataFrame:
    names = asked.faces["name"].to_numpy()[asked.shown[kept]]
    return pd.DataFrame(
        {
            **{f"name_{i}": names[:, i - 1] for i in PLACES},
            "type": strings(asked.table, ["type"]).astype(object)[kept],
            "annotator": None,
            "answer": pd.Series([odd or None for odd in agreed.tolist()], dtype=object),
            "split": np.array(SPLITS, object)[rows[kept, 0]],
        }
    )


def _said(table: pa.Table, answers: Int[np.ndarray, "rows raters"]) -> pd.DataFrame:
    """Return every annotator's answer about every triplet, ties included."""
    who = strings(table, [f"annotator_{j}" for j in RATERS])
    codes = who.codes.reshape(RATED, -1).T
    triplet, rater = np.nonzero(answers)
    annotator = pd.Categorical.from_codes(codes[triplet, rater], who.categories)
    return pd.DataFrame(
        {
            "triplet": triplet,
            "annotator": annotator.remove_unused_categories(),
            "answer": answers[triplet, rater],
        }
    )


def _dropped(table: pa.Table, kept: Bool[np.ndarray, "rows"]) -> str:
    lost = pd.Series(strings(table, ["type"]).astype(object)[~kept]).value_counts()
    named = ", ".join(f"{name} {lost.get(name, 0):,}" for name in TYPES)
    return (
        f"{(~kept).sum():,} triplets dropped whose photos are in different splits, or in both "
        f"files: {named}."
    )


def _open(triplets: pd.DataFrame) -> list[str]:
    """Say how many triplets have no answer that they could be measured by."""
    unanswered = triplets["answer"].isna().groupby(triplets["split"]).sum()
    return [
        f"{count:,} triplets of {split} have no answer: a tie"
        + ("." if split == "train" else ", or too few agree.")
        for split, count in unanswered.items()
    ]
