"""Codes and words of data sets for the emotions -> index into EMOTIONS."""

from collections.abc import Mapping

from registry.catalog import EMOTIONS

AFFECTNET: Mapping[str, int] = {str(code): code for code in range(len(EMOTIONS))}
"""The catalog's order is AffectNet's."""
AFFECTNET_EXCLUDED = {"8": "none of the emotions", "9": "uncertain", "10": "no face"}
"""AffectNet's codes of pictures that have no emotion."""

_RAFDB = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
RAFDB: Mapping[str, int] = {
    str(code): EMOTIONS.index(emotion) for code, emotion in enumerate(_RAFDB, start=1)
}

_FER2013 = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FER2013: Mapping[str, int] = {
    str(code): EMOTIONS.index(emotion) for code, emotion in enumerate(_FER2013)
}
"""Codes of FER2013's column `emotion`."""

_RAFD = (
    *("neutral", "happy", "sad", "surprised"),
    *("fearful", "disgusted", "angry", "contemptuous"),
)
RAFD: Mapping[str, int] = {word: emotion for emotion, word in enumerate(_RAFD)}

FERPLUS = (
    *("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt"),
    *("unknown", "no face"),
)
"""Columns of FER+'s label.csv, after the picture's name and box, in the catalog's words."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    "neutral": (),
    "happy": ("happiness", "joy", "joyful", "smile", "smiling"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "fear": ("fearful", "afraid", "scared"),
    "disgust": ("disgusted",),
    "anger": ("angry",),
    "contempt": ("contemptuous",),
}
WORDS: Mapping[str, int] = {
    word: EMOTIONS.index(emotion)
    for emotion, others in _WORDS.items()
    for word in (emotion, *others)
}
"""Words used as names of files, folders and labels, in lower case."""
AFFECTNET_WORDS_EXCLUDED = {
    "none": "none of the emotions",
    "uncertain": "uncertain",
    **dict.fromkeys(("no-face", "non-face", "noface", "no face"), "no face"),
}
"""Words in copies of AffectNet for pictures that have no emotion."""
