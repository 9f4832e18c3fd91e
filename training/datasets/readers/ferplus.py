"""FER+: faces of FER2013, 48 px and grey, voted on by ten people each (Barsoum et al., 2016)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path

import pandas as pd

from registry.catalog import FERPLUS_MARGIN
from training.datasets.leakage import SPLIT_ORDER, remove_leaked_pictures
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles, PictureFinder
from training.datasets.readers.csv_tables import TableColumns, read_rows, whole_number
from training.datasets.readers.ferplus_votes import ALIASES, voted_picture
from training.datasets.readers.label_maps import FERPLUS
from training.datasets.readers.label_rows import RejectedRows
from training.datasets.readers.parquet_tables import FER_NAME, read_parquet
from training.datasets.source import PictureRecord, RawDataset

FOLDERS = {"FER2013Train": "train", "FER2013Valid": "validation", "FER2013Test": "test"}
COLUMNS = TableColumns(needs=("file", *FERPLUS), order=("file", "box", *FERPLUS), aliases=ALIASES)


def read(path: Path | None) -> RawDataset:
    """Return FER+ from ferplus.zip or its unpacked folder, or from Parquet files.

    Raises:
        PreparedError: `path` holds something else.
    """
    if dataset := read_parquet(path, "ferplus", "FER+"):
        named = any(FER_NAME.fullmatch(picture.name) for picture in dataset.pictures)
        fixed = triplets() if named else None
        return replace(dataset, cropped_margin=FERPLUS_MARGIN, triplets=fixed)
    source = DatasetFiles.locate(path, "ferplus", "FER2013Test/label.csv")
    rejected = RejectedRows()
    listed = [
        picture
        for folder, split in FOLDERS.items()
        for picture in _pictures(source, folder, split, rejected)
    ]
    digests = [source.digest(picture.member) for picture in listed]
    pictures, dropped = remove_leaked_pictures(listed, digests)
    return RawDataset(
        source=source,
        pictures=pictures,
        cropped_margin=FERPLUS_MARGIN,
        triplets=triplets(),
        notes=[*dropped, _note_unlabelled(pictures), *rejected.notes],
    )


def triplets() -> pd.DataFrame:
    """Return the fixed triplets, 30,000 a split; the third face is always the odd one."""
    listed = resources.files("training.datasets") / "lists" / "ferplus_triplets.parquet"
    with listed.open("rb") as file:
        table = pd.read_parquet(file)
    numbers = {f"name_{i}": table[f"face_{i}"].map("fer{:07d}".format) for i in (1, 2, 3)}
    return pd.DataFrame(
        {**numbers, "type": table["type"], "annotator": None, "answer": 3, "split": table["split"]}
    )


def _pictures(
    source: DatasetFiles, folder: str, split: str, rejected: RejectedRows
) -> Iterator[PictureRecord]:
    """Yield the pictures of a folder that its list names.

    Raises:
        PreparedError: the list has other columns, or votes that aren't numbers.
    """
    listed = f"{folder}/label.csv"
    finder = PictureFinder(source.pictures(f"{folder}/"))
    rows = list(read_rows(listed, partial(source.open, listed), COLUMNS, rejected))
    if not rows:
        raise PreparedError(f"{listed} isn't FER+: it should have 12 columns; get that file again.")
    for location, cells in rows:
        votes = {word: whole_number(cells[word]) for word in FERPLUS}
        if not all(count.isdecimal() for count in votes.values()):
            line = f"{location.removeprefix(listed).strip()}: {', '.join(votes.values())}"
            raise PreparedError(
                f"{listed} isn't FER+: votes aren't numbers in {line}; get that file again."
            )
        member = finder.find(f"{folder}/{cells['file']}")
        if member is None:
            rejected.reject("the photo is missing", location, cells["file"])
            continue
        yield voted_picture(member, Path(member).stem, split, {w: int(n) for w, n in votes.items()})


def _note_unlabelled(pictures: list[PictureRecord]) -> str:
    counts = Counter(p.split for p in pictures if p.emotion is None)
    by_split = ", ".join(f"{counts[split]} in {split}" for split in SPLIT_ORDER)
    return f"No emotion, because `unknown` or `no face` has the most votes: {by_split}."
