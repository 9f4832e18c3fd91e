"""Photos to crops, once: `prepare` a set, `show` what a folder holds."""

import os
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track

from training.datasets.crop import Cutter, StoredCrop, comment_of, executor
from training.datasets.fec import reader as fec
from training.datasets.leakage import apart, check_apart
from training.datasets.prepared import (
    ANSWERS,
    POINTS,
    SCHEMA,
    TRIPLETS,
    Prepared,
    PreparedError,
    held_by,
)
from training.datasets.readers import affectnet, ferplus, folder, lfw_emotion, london, rafd, rafdb
from training.datasets.report import Report
from training.datasets.show import show
from training.datasets.source import Picture, Reading, Unfetched
from training.datasets.synthetic import ict, ict_pairs, toy

__all__ = ["READERS", "Prepared", "PreparedError", "Report", "prepare", "show"]

READERS: dict[str, Callable[[Path | None], Reading | Unfetched]] = {
    "affectnet": affectnet.read,
    "fec": fec.read,
    "ferplus": ferplus.read,
    "folder": folder.read,
    "ict": ict.read,
    "ict-pairs": ict_pairs.read,
    "lfw-emotion": lfw_emotion.read,
    "london": london.read,
    "rafd": rafd.read,
    "rafd-frontal": partial(rafd.read, frontal=True),
    "rafdb": rafdb.read,
    "toy": toy.read,
}
WRITTEN = ("index.parquet", "triplets.parquet", "answers.parquet", POINTS, "report.md")
OURS = {"crops", "cache", *fec.KEPT, *WRITTEN}
"""What a prepared folder holds."""
ROWS_AT_ONCE = 10_000


def prepare(
    set_name: str,
    source: Path | None,
    dest: Path,
    *,
    workers: int | None = None,
    choices: fec.Choices = fec.DEFAULT,
) -> Report:
    """Cut a set's faces into `dest` and write its index, its fixed triplets and a report.

    It may be stopped at any time and started again: crops that are there are kept, and what was
    fetched isn't fetched again.

    Args:
        set_name: one of `READERS`.
        source: the set's zip or its unpacked folder; None for drawn faces.
        dest: a new folder, or one of an earlier run.
        workers: processes that look for faces; all cores by default.
        choices: for fec alone.

    Raises:
        PreparedError: an unknown set, a wrong source, or a folder that holds something else.
    """
    began = time.monotonic()
    set_name = set_name.replace("_", "-")
    _check_outside(set_name, source, dest)
    read = _read(set_name, source, choices)
    with _claimed(dest, set_name):
        reading = read if isinstance(read, Reading) else read.fetched(dest)
        outcomes = apart(
            reading.pictures, list(_cut(reading, dest, workers or os.cpu_count() or 1))
        )
        _write(reading, outcomes, dest, set_name)
        report = Report(
            name=set_name,
            command=_command(set_name, source, dest, choices),
            offered=len(reading.pictures),
            dropped=_dropped(reading.pictures, outcomes),
            notes=reading.notes,
            seconds=time.monotonic() - began,
            summary=show(dest),
        )
        (dest / "report.md").write_text(report.text, encoding="utf-8")
    return report


def toy_set(runs: Path) -> Prepared:
    """Return the set of drawn faces, prepared once under `runs`."""
    folder = runs / "toy"
    runs.mkdir(parents=True, exist_ok=True)
    with FileLock(runs / "toy.lock"):
        if not (folder / "index.parquet").exists():
            prepare("toy", None, folder)
    return Prepared.open(folder)


def _command(set_name: str, source: Path | None, dest: Path, choices: fec.Choices) -> str:
    places = shlex.join([str(source or "-"), str(dest)])
    return f"python -m training prepare {set_name} {places}{choices}"


def _check_outside(set_name: str, source: Path | None, dest: Path) -> None:
    """Refuse a folder where the next run would take crops for pictures; fec's source has none."""
    if set_name != "fec" and source and source.resolve() in dest.resolve().parents:
        raise PreparedError(
            f"{dest} lies in {source}, the source of {set_name}; name a folder beside it."
        )


def _read(set_name: str, source: Path | None, choices: fec.Choices) -> Reading | Unfetched:
    reader = READERS.get(set_name)
    if reader is None:
        raise PreparedError(f"There is no set {set_name!r}; choose one of {', '.join(READERS)}.")
    if set_name == "fec":
        return fec.read(source, choices)
    if choices != fec.DEFAULT:
        raise PreparedError(f"The set {set_name} takes no{choices}; only fec does.")
    return reader(source)


@contextmanager
def _claimed(dest: Path, set_name: str) -> Iterator[None]:
    """Keep `dest` to this run; what follows from crops goes first, lest it outlive them."""
    if dest.exists() and not dest.is_dir():
        raise PreparedError(f"{dest} is a file; name a new folder.")
    if dest.is_dir() and any(not _is_ours(f) for f in dest.iterdir()):
        raise PreparedError(f"{dest} holds other things; name a new folder.")
    if held_by(dest) not in ("", set_name):
        raise PreparedError(f"{dest} holds another prepared set; name a new folder.")
    try:
        (dest / "crops").mkdir(parents=True, exist_ok=True)
        with FileLock(dest / ".lock", timeout=0):
            for file in WRITTEN:
                (dest / file).unlink(missing_ok=True)
            shutil.rmtree(dest / "cache", ignore_errors=True)
            yield
    except Timeout:
        raise PreparedError(f"{dest} is being prepared already; wait for that run.") from None
    except OSError as error:
        raise PreparedError(
            f"{dest} can't be written: {error}; mend that and run the same command again."
        ) from error


def _is_ours(file: Path) -> bool:
    return file.name in OURS or file.name.startswith(".") or file.suffix == ".part"


def _cut(reading: Reading, dest: Path, workers: int) -> Iterator[StoredCrop | str]:
    """Yield what became of each picture, in order, with a progress bar."""
    cutter = Cutter(
        source=reading.source,
        folder=dest,
        framing=reading.framing,
        fallback=reading.fallback,
        central=reading.central,
    )
    try:
        with executor(workers, finds_faces=reading.framing is None) as pool:
            yield from track(
                pool.map(cutter, reading.pictures, chunksize=16),
                description="crops",
                total=len(reading.pictures),
                console=Console(stderr=True),
            )
    except BrokenExecutor as error:
        raise PreparedError(
            "A process that looks for faces was ended from outside, most likely for want of "
            "memory. The same command with --workers 1 goes on where it was."
        ) from error


def _dropped(pictures: list[Picture], outcomes: list[StoredCrop | str]) -> dict[str, list[str]]:
    dropped: dict[str, list[str]] = {}
    for picture, outcome in zip(pictures, outcomes, strict=True):
        if isinstance(outcome, str):
            dropped.setdefault(outcome, []).append(picture.member)
    return dropped


def _write(reading: Reading, outcomes: list[StoredCrop | str], dest: Path, set_name: str) -> None:
    """Write index and triplets; crops of an earlier run that no row names go."""
    kept = [
        (picture, found)
        for picture, found in zip(reading.pictures, outcomes, strict=True)
        if isinstance(found, StoredCrop)
    ]
    if not kept:
        why = "; ".join(f"{n:,}: {why}" for why, n in Counter(map(str, outcomes)).items())
        raise PreparedError(
            f"None of the pictures of {set_name} gave a face ({why}); is it the right one?"
        )
    check_apart(kept)
    known = {found.path for _, found in kept}
    for file in (dest / "crops").iterdir():
        if f"crops/{file.name}" not in known and (file.suffix == ".part" or comment_of(file)):
            file.unlink()
    if reading.triplets is not None:
        joined = _with_digests(reading.triplets, {p.name: found.digest for p, found in kept})
        if reading.answers is not None:
            _write_answers(reading.answers, joined.index, dest)
        _save(
            pa.Table.from_pandas(joined, TRIPLETS, preserve_index=False), dest / "triplets.parquet"
        )
    if reading.points is not None:
        _write_points(reading.points, [picture for picture, _ in kept], dest / POINTS)
    schema = SCHEMA.with_metadata({"set": set_name})
    _save_rows(map(_row, kept), schema, dest / "index.parquet")


def _row(pair: tuple[Picture, StoredCrop]) -> dict[str, Any]:
    picture, kept = pair
    return asdict(picture) | {"source": picture.member} | asdict(kept)


def _save_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    """Write rows a few thousand at a time: as Python objects, all of a large set fill memory."""
    half, left = path.with_suffix(".part"), iter(rows)
    with pq.ParquetWriter(half, schema, compression="zstd") as file:
        while few := list(islice(left, ROWS_AT_ONCE)):
            file.write_table(pa.Table.from_pylist(few, schema))
    half.replace(path)


def _write_points(points: Callable[[str], np.ndarray], pictures: list[Picture], path: Path) -> None:
    """Write where the points of each picture's face lie, to a 2,000th of its side."""
    members = track([p.member for p in pictures], "points", console=Console(stderr=True))
    half = path.with_suffix(".part.npy")
    np.save(half, np.stack([points(member) for member in members]).astype(np.float16))
    half.replace(path)


def _write_answers(answers: pd.DataFrame, kept: pd.Index, dest: Path) -> None:
    """Write the answers about the triplets that are kept, by their place among these."""
    place = pd.Series(range(len(kept)), index=kept)
    about = answers["triplet"].map(place)
    said = answers.assign(triplet=about)[about.notna()]
    _save(pa.Table.from_pandas(said, ANSWERS, preserve_index=False), dest / "answers.parquet")


def _with_digests(triplets: pd.DataFrame, digests: dict[str, str]) -> pd.DataFrame:
    """Return the triplets whose three faces are in the set, with their pictures' digests."""
    joined = triplets.assign(
        **{f"digest_{i}": triplets[f"name_{i}"].map(digests) for i in (1, 2, 3)}
    )
    known = joined[[f"digest_{i}" for i in (1, 2, 3)]].notna().all(axis=1)
    return joined[known]


def _save(table: pa.Table, path: Path) -> None:
    half = path.with_suffix(".part")
    pq.write_table(table, half, compression="zstd")
    half.replace(path)
