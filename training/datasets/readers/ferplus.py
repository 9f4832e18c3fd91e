"""FER+: faces of FER2013, 48 px and grey, voted on by ten people each (Barsoum et al., 2016)."""

import hashlib
from collections import Counter
from importlib import resources
from pathlib import Path

import pandas as pd

from registry.catalog import EMOTIONS, FERPLUS_MARGIN
from training.datasets.leakage import RANK, pure
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import Files
from training.datasets.readers.label_maps import FERPLUS
from training.datasets.source import Picture, Reading

FOLDERS = {"FER2013Train": "train", "FER2013Valid": "validation", "FER2013Test": "test"}
VOTES = (*EMOTIONS, "unknown", "no face")


def read(path: Path | None) -> Reading:
    """Return FER+ from ferplus.zip or its unpacked folder.

    Raises:
        PreparedError: `path` holds something else.
    """
    source = Files.of(path, "ferplus", "FER2013Test/label.csv")
    listed = [p for folder, split in FOLDERS.items() for p in _pictures(source, folder, split)]
    digests = [hashlib.sha256(source.read(picture.member)).hexdigest() for picture in listed]
    pictures, dropped = pure(listed, digests)
    return Reading(
        source=source,
        pictures=pictures,
        framing=FERPLUS_MARGIN,
        triplets=triplets(),
        notes=[*dropped, _unlabelled(pictures)],
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


def _pictures(source: Files, folder: str, split: str) -> list[Picture]:
    table = source.table(f"{folder}/label.csv", header=False)
    if table.shape[1] != len(FERPLUS) + 2:
        raise PreparedError(f"{folder}/label.csv isn't FER+: it should have 12 columns.")
    votes = table.iloc[:, 2:].set_axis(list(FERPLUS), axis=1)
    odd = votes[~votes.apply(lambda column: column.str.fullmatch("[0-9]+")).all(axis=1)]
    if len(odd):
        said = f"line {odd.index[0] + 1}: {', '.join(odd.iloc[0])}"
        raise PreparedError(f"{folder}/label.csv isn't FER+: votes are no numbers in {said}.")
    votes = votes.astype(int)
    winner = [FERPLUS[i] for i in votes.to_numpy().argmax(1)]
    ordered = votes[list(VOTES)].to_numpy().tolist()
    return [
        Picture(
            member=f"{folder}/{file}",
            name=Path(file).stem,
            split=split,
            emotion=EMOTIONS.index(word) if word in EMOTIONS else None,
            votes=tuple(counted),
        )
        for file, word, counted in zip(table[0], winner, ordered, strict=True)
    ]


def _unlabelled(pictures: list[Picture]) -> str:
    led = Counter(p.split for p in pictures if p.emotion is None)
    said = ", ".join(f"{led[split]} in {split}" for split in RANK)
    return f"No emotion where unknown or no face has the most votes: {said}."
