"""What the metadata of a version must be, checked before anything of the version is loaded."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeGuard

SIZES_PX = (16, 1024)
"""Smallest and largest side of a crop. The largest batch of the demo then takes 400 MB."""
MARGINS = (-0.5, 4.0)
"""Smallest and largest margin of a crop."""
LARGEST_CONDITION = 4096


class MetadataError(ValueError):
    """What is wrong with a version's metadata, as the end of a sentence."""


def check_crop(size_px: object, margin: object, roll: object) -> None:
    """Raise unless a crop can be cut and its pixels fit into memory.

    Raises:
        MetadataError: the size is no whole number of pixels from 16 to 1,024, the margin no number
            from -0.5 to 4, or `roll` neither true nor false.
    """
    low, high = SIZES_PX
    if type(size_px) is not int or not low <= size_px <= high:
        raise MetadataError(f"its faces are {size_px!r} px large, not {low} to {high}")
    least, most = MARGINS
    if not is_finite(margin) or not least <= margin <= most:
        raise MetadataError(f"the margin of its crop is {margin!r}, not {least:g} to {most:g}")
    if type(roll) is not bool:
        raise MetadataError(f"the roll of its crop is {roll!r}, neither true nor false")


def check_labels(labels: Iterable[object], outputs: Mapping[str, object]) -> None:
    """Raise unless labels are distinct texts, and a classifier has them.

    Raises:
        MetadataError: one is empty or no text, two are equal, or there are none for the logits.
    """
    known = list(labels)
    for label in known:
        if not isinstance(label, str) or not label.strip():
            raise MetadataError(f"one of its labels is {label!r}, not a word")
    if len(set(known)) < len(known):
        raise MetadataError("two of its labels are equal")
    if "logits" in outputs and not known:
        raise MetadataError("its logits have no labels")


def check_texts(name: str, texts: object) -> None:
    """Raise unless a field maps names to texts.

    Raises:
        MetadataError: it doesn't.
    """
    if not isinstance(texts, Mapping) or not all(
        isinstance(part, str) for pair in texts.items() for part in pair
    ):
        raise MetadataError(f"its {name} are no texts by name")


def check_numbers(temperature: object, condition: object, thresholds: Mapping[str, object]) -> None:
    """Raise unless the temperature is positive and the numbers are finite.

    Raises:
        MetadataError: one isn't, or `condition` is no whole number from 0 to 4,096.
    """
    if temperature is not None and (not is_finite(temperature) or temperature <= 0):
        raise MetadataError(f"its temperature is {temperature!r}, not a number above 0")
    if type(condition) is not int or not 0 <= condition <= LARGEST_CONDITION:
        raise MetadataError(
            f"the length of its change is {condition!r}, not 0 to {LARGEST_CONDITION:,}"
        )
    for name, value in thresholds.items():
        if not is_finite(value):
            raise MetadataError(f"its threshold {name} is {value!r}, not a finite number")


def check_class_prior(prior: Mapping[str, object], labels: Iterable[object]) -> None:
    """Raise unless there is no prior, or a positive share of each label, 1 together.

    Raises:
        MetadataError: a label is missing or unknown, a share isn't positive, or the sum isn't 1.
    """
    if not prior:
        return
    shares = [value for value in prior.values() if is_finite(value) and value > 0]
    if (
        set(prior) != set(labels)
        or len(shares) < len(prior)
        or not math.isclose(sum(shares), 1, abs_tol=1e-3)
    ):
        raise MetadataError("its class prior is no positive share of each label, 1 together")


def is_finite(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
