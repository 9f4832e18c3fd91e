"""The emotions of all faces of a photo as a table, to look at, copy or download."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from demo.answers import EmotionAnswer

if TYPE_CHECKING:
    import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula and would run it."""


def face_table(answers: Sequence[EmotionAnswer], numbers: Sequence[str]) -> "pd.DataFrame":
    """Return a row for each face: its number, its emotion, and the probability of every label.

    Args:
        answers: One for each face.
        numbers: The number of each answer's face on the page.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {
            "face": number,
            "emotion": safe_cell(answer.label),
            "sure": "yes" if answer.sure else "no",
            **{safe_cell(k): round(v, 4) for k, v in sorted(answer.probabilities.items())},
        }
        for number, answer in zip(numbers, answers, strict=True)
    ]
    return pd.DataFrame(rows)


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet runs: an apostrophe in front of what would be a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
