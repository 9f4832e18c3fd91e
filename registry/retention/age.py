"""The age from which something counts as old, as people write it: 90d, 12h or 4w."""

import re
from datetime import timedelta

from registry.errors import BadPrune

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
MOST_HOURS = 24 * 36500


def parse(text: str) -> timedelta:
    """Return the age that a text names.

    Raises:
        BadPrune: it names none.
    """
    found = re.fullmatch(r"(\d+)([hdw])", text.strip())
    age = timedelta(**{UNITS[found[2]]: min(int(found[1]), MOST_HOURS)}) if found else None
    if age is None or age > timedelta(hours=MOST_HOURS):
        raise BadPrune(f"--older {text}: write a number of hours, days or weeks: 12h, 90d or 4w.")
    return age
