"""How much a prepared set holds, by what is known of it."""

from typing import Any

import pandas as pd

from registry.catalog import EMOTIONS
from training.datasets.prepared import Prepared


def counts(data: Prepared, split: str) -> dict[str, Any]:
    """Return how many of everything a split holds, ready for JSON.

    `faces`; `persons` where known; `emotions`, `triplets` by type and `answers` by annotator, where
    there are any.
    """
    index = data.index.iloc[data.split(split)]
    found: dict[str, Any] = {"faces": len(index)}
    if index["person"].notna().any():
        found["persons"] = int(index["person"].nunique())
    emotions = index["emotion"].map(dict(enumerate(EMOTIONS))).dropna()
    found |= {"emotions": _counted(emotions)} if len(emotions) else {}
    if data.triplets is not None:
        asked = data.triplets[data.triplets["split"] == split]
        found |= {"triplets": _counted(asked["type"])} if len(asked) else {}
        if data.answers is not None and len(asked):
            said = data.answers[data.answers["triplet"].isin(asked.index)]
            found["answers"] = _counted(said["annotator"].astype(str))
    return found


def _counted(words: pd.Series) -> dict[str, int]:
    return {str(word): int(count) for word, count in words.value_counts().items()}
