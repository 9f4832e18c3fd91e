"""What versions answered about the triplets of an evaluation, one or two side by side."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from cachetools import TTLCache
from jaxtyping import Bool

from registry import outcomes, versions
from registry.catalog import CANDIDATES, CATALOG
from registry.errors import BadVersion
from registry.outcomes import Outcomes
from registry.versions import Version

if TYPE_CHECKING:
    import pandas as pd

TRIPLET = "triplet"
"""The `kind` of a row about a fixed triplet; docs/formats.md lists the columns."""
FACES = ("name_1", "name_2", "name_3")
VOTES = ("votes_1", "votes_2", "votes_3")
TYPES = ("one class", "two class", "three class")
"""How many emotion classes the three faces of a triplet have."""
Shown = Literal["all", "wrong", "only first right", "only second right"]
"""Which triplets: all, those that the first version gets wrong, or those that only one of two
versions gets right."""
KEPT_TABLES, KEPT_SECONDS = 8, 60
"""How many tables are kept in memory, and how long: a new evaluation replaces a table."""


@dataclass(frozen=True, kw_only=True)
class VersionAnswer:
    """What a version answered about a triplet."""

    version: str
    """Such as dln/3."""
    found: int
    """The odd face, 1 to 3; 0 where no pair of faces is nearer than both others."""
    right: bool
    margin: float
    """By how much nearer the pair that people chose is than the nearer of the other two."""


@dataclass(frozen=True, kw_only=True)
class TripletOutcome:
    """A triplet, what people found, and what one or two versions answered."""

    set: str
    type: str
    names: tuple[str, str, str]
    votes: tuple[int, int, int] | None
    """How many annotators found each face odd; None where the set doesn't say."""
    odd: int
    """The odd face by people, 1 to 3."""
    answers: tuple[VersionAnswer, ...]


class DifferentData(ValueError):
    """Two versions were measured on different data; the message is one sentence."""


class TripletOutcomes:
    """The outcomes in the registry. Threads may share it.

    All methods raise RegistryError if the registry gives no answer.
    """

    def __init__(self) -> None:
        self._tables: TTLCache[tuple[str, str], Outcomes | None] = TTLCache(
            KEPT_TABLES, KEPT_SECONDS
        )
        self._lock = threading.Lock()

    def evaluations(self) -> dict[str, list[str]]:
        """Return the versions, newest first by model, that each evaluation's table exists of.

        Returns:
            `{split}-{set}` -> versions such as dln/3.
        """
        found: dict[str, list[str]] = {}
        for model in CATALOG.values():
            if "expression" not in model.outputs:
                continue
            for registered in (model.name, f"{model.name}{CANDIDATES}"):
                for version in versions.list_versions(registered):
                    for name in outcomes.names(version):
                        found.setdefault(name, []).append(_reference(version))
        return dict(sorted(found.items()))

    def select(
        self,
        evaluation: str,
        references: Sequence[str],
        types: Sequence[str] = TYPES,
        shown: Shown = "all",
    ) -> list[TripletOutcome]:
        """Return triplets of an evaluation in the order of its table.

        Args:
            evaluation: One of `evaluations`.
            references: One or two of its versions.
            types: Which of TYPES.
            shown: Which of these triplets.

        Raises:
            BadVersion: A version has no such table.
            DifferentData: The two versions were measured on different data.
        """
        tables = [self._table(reference, evaluation) for reference in references]
        items = [_triplets(table) for table in tables]
        if len(tables) > 1 and not _are_same(tables, items):
            raise DifferentData(
                f"{references[0]} and {references[1]} were measured on different data of this "
                "name: evaluate both again on the same."
            )
        kept = _kept([item["right"].to_numpy(dtype=bool) for item in items], shown)
        kept = kept & items[0]["type"].isin(types).to_numpy(dtype=bool)
        rows = [item[kept].to_dict("records") for item in items]
        return [
            _outcome(tables[0].source.set, references, records)
            for records in zip(*rows, strict=True)
        ]

    def _table(self, reference: str, evaluation: str) -> Outcomes:
        with self._lock:
            key = (reference, evaluation)
            if key not in self._tables:
                version = versions.resolve(reference)
                known = evaluation in outcomes.names(version)
                self._tables[key] = outcomes.read_named(version, evaluation) if known else None
            table = self._tables[key]
        if table is None or not {"kind", "right", *FACES} <= set(table.items.columns):
            raise BadVersion(
                f"{reference} has no outcomes of triplets for {evaluation}: measure it with "
                f"`python -m training evaluate {reference} DATA`."
            )
        return table


def _reference(version: Version) -> str:
    return f"{version.name}/{version.number}"


def _triplets(table: Outcomes) -> "pd.DataFrame":
    return table.items[table.items["kind"] == TRIPLET].reset_index(drop=True)


def _are_same(tables: Sequence[Outcomes], items: "Sequence[pd.DataFrame]") -> bool:
    """Return whether two tables are about the same triplets in the same order."""
    first, second = items
    columns = [*FACES, "answer"]
    return tables[0].source.digest == tables[1].source.digest and first[columns].equals(
        second[columns]
    )


def _kept(
    right: Sequence[Bool[np.ndarray, "triplets"]], shown: Shown
) -> Bool[np.ndarray, "triplets"]:
    """Return which triplets are shown, by whether each version is right."""
    first, second = right[0], right[-1]
    choices: dict[Shown, np.ndarray] = {
        "all": np.ones_like(first),
        "wrong": ~first,
        "only first right": first & ~second,
        "only second right": ~first & second,
    }
    return choices[shown]


def _outcome(
    name_of_set: str, references: Sequence[str], records: Sequence[Mapping[Any, Any]]
) -> TripletOutcome:
    first = records[0]
    votes = [first.get(column) for column in VOTES]
    counted = [int(vote) for vote in votes if isinstance(vote, int)]
    one, two, three = (str(first[column]) for column in FACES)
    return TripletOutcome(
        set=name_of_set,
        type=str(first["type"]),
        names=(one, two, three),
        votes=(counted[0], counted[1], counted[2]) if len(counted) == len(VOTES) else None,
        odd=int(first["answer"]),
        answers=tuple(
            VersionAnswer(
                version=reference,
                found=int(record["found"]),
                right=bool(record["right"]),
                margin=float(record["margin"]),
            )
            for reference, record in zip(references, records, strict=True)
        ),
    )
