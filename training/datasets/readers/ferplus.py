"""FER+: faces of FER2013, 48 px and grey, voted on by ten people each (Barsoum et al., 2016)."""

from collections import Counter
from importlib import resources
from pathlib import Path

import pandas as pd

from registry.catalog import EMOTIONS, FERPLUS_MARGIN
from training.datasets.leakage import SPLIT_ORDER, remove_leaked_pictures
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.label_maps import FERPLUS
from training.datasets.source import PictureRecord, RawDataset

FOLDERS = {"FER2013Train": "train", "FER2013Valid": "validation", "FER2013Test": "test"}
VOTES = (*EMOTIONS, "unknown", "no face")


def read(path: Path | None) -> RawDataset:
    """Return FER+ from ferplus.zip or its unpacked folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = DatasetFiles.locate(path, "ferplus", "FER2013Test/label.csv")
    listed = [p for folder, split in FOLDERS.items() for p in _pictures(source, folder, split)]
    digests = [source.digest(picture.member) for picture in listed]
    pictures, dropped = remove_leaked_pictures(listed, digests)
    return RawDataset(
        source=source,
        pictures=pictures,
        cropped_margin=FERPLUS_MARGIN,
        triplets=triplets(),
        notes=[*dropped, _note_unlabelled(pictures)],
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


def _pictures(source: DatasetFiles, folder: str, split: str) -> list[PictureRecord]:
    table = source.read_csv(f"{folder}/label.csv", header=False)
    if table.shape[1] != len(FERPLUS) + 2:
        raise PreparedError(
            f"{folder}/label.csv isn't FER+: it should have 12 columns; get that file again."
        )
    votes = table.iloc[:, 2:].set_axis(list(FERPLUS), axis=1)
    odd = votes[~votes.apply(lambda column: column.str.fullmatch("[0-9]+")).all(axis=1)]
    if len(odd):
        line = f"line {odd.index[0] + 1}: {', '.join(odd.iloc[0])}"
        raise PreparedError(
            f"{folder}/label.csv isn't FER+: votes aren't numbers in {line}; get that file again."
        )
    votes = votes.astype(int)
    winner = [FERPLUS[i] for i in votes.to_numpy().argmax(1)]
    ordered = votes[list(VOTES)].to_numpy().tolist()
    return [
        PictureRecord(
            member=f"{folder}/{file}",
            name=Path(file).stem,
            split=split,
            emotion=EMOTIONS.index(word) if word in EMOTIONS else None,
            votes=tuple(counts),
        )
        for file, word, counts in zip(table[0], winner, ordered, strict=True)
    ]


def _note_unlabelled(pictures: list[PictureRecord]) -> str:
    counts = Counter(p.split for p in pictures if p.emotion is None)
    by_split = ", ".join(f"{counts[split]} in {split}" for split in SPLIT_ORDER)
    return f"No emotion, because `unknown` or `no face` has the most votes: {by_split}."
