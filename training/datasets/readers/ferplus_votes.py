"""FER+'s ten columns of votes, in tables of any kind."""

from collections.abc import Mapping

from registry.catalog import EMOTIONS
from training.datasets.readers.label_maps import FERPLUS, WORDS
from training.datasets.source import PictureRecord

VOTES = (*EMOTIONS, "unknown", "no face")
ALIASES = {word: EMOTIONS[emotion] for word, emotion in WORDS.items()} | {
    "nf": "no face",
    "image name": "file",
    "image": "file",
}
"""Names of FER+'s columns in other copies -> those of FERPLUS."""


def voted_picture(member: str, name: str, split: str, votes: Mapping[str, int]) -> PictureRecord:
    """Return a picture with its votes by FERPLUS; the first word with the most is its emotion."""
    word = max(FERPLUS, key=lambda word: votes[word])
    return PictureRecord(
        member=member,
        name=name,
        split=split,
        emotion=EMOTIONS.index(word) if word in EMOTIONS else None,
        votes=tuple(votes[word] for word in VOTES),
    )
