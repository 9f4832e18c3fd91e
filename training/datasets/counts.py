"""How many faces, persons, emotions and triplets a prepared set holds."""

from typing import Any

import pandas as pd

from registry.catalog import EMOTIONS
from training.datasets.prepared import Prepared


def counts(data: Prepared, split: str) -> dict[str, Any]:
    """Return the counts of a split as plain values for JSON.

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
        triplets = data.triplets[data.triplets["split"] == split]
        found |= {"triplets": _counted(triplets["type"])} if len(triplets) else {}
        if data.answers is not None and len(triplets):
            answers = data.answers[data.answers["triplet"].isin(triplets.index)]
            found["answers"] = _counted(answers["annotator"].astype(str))
    return found


def _counted(values: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}
