"""The files of a prepared folder beside its crops: index, triplets, answers and points."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from registry.console import track
from registry.files import atomic_write
from training.datasets.crop import StoredCrop
from training.datasets.prepared import ANSWERS, POINTS, SCHEMA, TRIPLETS
from training.datasets.source import PictureRecord, RawDataset

FILES = ("index.parquet", "triplets.parquet", "answers.parquet", POINTS)
ROWS_PER_WRITE = 10_000
"""Rows of the index that are held as Python objects at once."""


def write(
    dataset: RawDataset,
    crops: Sequence[tuple[PictureRecord, StoredCrop]],
    dest: Path,
    set_name: str,
) -> None:
    """Write the files of a set; the index comes last, so a folder with an index is complete.

    Args:
        dataset: the set.
        crops: its pictures that have a crop.
        dest: the prepared folder.
        set_name: written into the index.

    Raises:
        OSError: a file can't be written.
    """
    if dataset.triplets is not None:
        triplets = _with_digests(dataset.triplets, {p.name: crop.digest for p, crop in crops})
        if dataset.answers is not None:
            answers = _answers_about(triplets.index, dataset.answers)
            _save(answers, ANSWERS, dest / "answers.parquet")
        _save(triplets, TRIPLETS, dest / "triplets.parquet")
    if dataset.points is not None:
        _write_points(dataset.points, [picture for picture, _ in crops], dest / POINTS)
    schema = SCHEMA.with_metadata({"set": set_name})
    _save_rows(map(_row, crops), schema, dest / "index.parquet")


def _row(pair: tuple[PictureRecord, StoredCrop]) -> dict[str, Any]:
    picture, crop = pair
    return asdict(picture) | {"source": picture.member} | asdict(crop)


def _save_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    """Write rows some thousand at a time: all rows of a large set would fill the memory."""
    remaining = iter(rows)
    with atomic_write(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as file:
        while some := list(islice(remaining, ROWS_PER_WRITE)):
            file.write_table(pa.Table.from_pylist(some, schema))


def _save(frame: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    table = pa.Table.from_pandas(frame, schema, preserve_index=False)
    with atomic_write(path) as part:
        pq.write_table(table, part, compression="zstd")


def _write_points(
    points: Callable[[str], np.ndarray], pictures: list[PictureRecord], path: Path
) -> None:
    """Write the points of each picture's face, exact to 1/2000 of its side."""
    members = track([p.member for p in pictures], "points", total=len(pictures))
    with atomic_write(path) as part:
        np.save(part, np.stack([points(member) for member in members]).astype(np.float16))


def _answers_about(triplets: pd.Index, answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers about these triplets, numbered by their position among them.

    Args:
        triplets: positions of the triplets in the whole table.
        answers: about all triplets of that table.
    """
    place = pd.Series(range(len(triplets)), index=triplets)
    about = answers["triplet"].map(place)
    return answers.assign(triplet=about)[about.notna()]


def _with_digests(triplets: pd.DataFrame, digests: dict[str, str]) -> pd.DataFrame:
    """Return the triplets whose three faces are in the set, with their pictures' digests."""
    joined = triplets.assign(
        **{f"digest_{i}": triplets[f"name_{i}"].map(digests) for i in (1, 2, 3)}
    )
    known = joined[[f"digest_{i}" for i in (1, 2, 3)]].notna().all(axis=1)
    return joined[known]
