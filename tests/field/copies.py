"""Trees of small drawn faces as copies of sets, and what readers make of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from registry.catalog import EMOTIONS
from tests.training.datasets.trees import Tree, photo
from training.datasets.prepare import READERS
from training.datasets.source import RawDataset

FER_FOLDERS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
AFFECT_FOLDERS = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
WORD_OF = {"angry": "anger"}


def read(name: str, path: Path, *, layout: bool = True) -> RawDataset:
    """Return a set whose pictures can all be read; with `layout` its report must name one."""
    dataset = READERS[name](path)
    assert isinstance(dataset, RawDataset)
    assert all(dataset.source.read(picture.member) for picture in dataset.pictures)
    assert not layout or any(note.startswith("Layout: ") for note in dataset.notes)
    return dataset


def folders(splits: Sequence[str], words: Sequence[str], each: int = 1) -> Tree:
    """Return `SPLIT/WORD/FILE` with different pictures."""
    return {
        f"{split}/{word}/{split}_{number}.jpg": photo(10 * s + number, w, 1)
        for s, split in enumerate(splits)
        for w, word in enumerate(words)
        for number in range(each)
    }


def gathered(dataset: RawDataset) -> dict[str, Counter[str]]:
    """Return split -> emotions; what was drawn for validation counts as train."""
    drawn = any("drawn by name, are validation" in note for note in dataset.notes)
    found: dict[str, Counter[str]] = {}
    for picture in dataset.pictures:
        split = "train" if drawn and picture.split == "validation" else picture.split
        found.setdefault(split, Counter())[EMOTIONS[picture.emotion or 0]] += 1
    return found
