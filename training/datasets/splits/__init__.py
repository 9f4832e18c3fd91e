"""Which persons are kept for validation and test: fixed lists, the same for every model."""

from importlib import resources

import pandas as pd


def persons(set_name: str) -> dict[str, str]:
    """Return person -> validation or test; whoever isn't named is for training."""
    listed = resources.files(__name__) / f"{set_name}.csv"
    with listed.open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return dict(zip(table["person"], table["split"], strict=True))
