"""Splits as the copies of a set name them -> train, validation and test."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from training.datasets.prepared import PreparedError
from training.datasets.splits import draw_splits

WORDS_OF_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "public", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "private", "privatetest"), "test"),
}
"""Words, in lower case and without what is between letters -> splits. FER2013's contest scored on a
public and on a private test; results are published on the private one."""
DRAWN_SHARE = 0.1
"""Share of the pictures for validation, and for the test, where no splits are published."""
VALIDATION_SHARE = 0.05
"""Share of a published training set that is our validation split."""
DRAWN_NOTE = (
    "No splits are published: 10 % of the pictures, drawn by name, are validation, 10 % test."
)
ENDINGS = re.compile(r"(?<=.)(?:set|data|images|split)$")


def split_of(word: str) -> str | None:
    """Return the split that a name means, such as train for `Train_Set`; None if it means none."""
    plain = re.sub(r"[\W_]+", "", word.lower())
    return WORDS_OF_SPLITS.get(plain) or WORDS_OF_SPLITS.get(ENDINGS.sub("", plain))


def outer_splits(paths: Mapping[str, PurePosixPath]) -> dict[str, str]:
    """Return member -> split where all outer folders are splits; empty where none is.

    Args:
        paths: member -> its path, from the outer folder on.

    Raises:
        PreparedError: some outer folders are splits and others aren't.
    """
    outer = {member: path.parts[0] if len(path.parts) > 1 else "" for member, path in paths.items()}
    found = {word: split_of(word) for word in set(outer.values())}
    others = sorted(word for word, split in found.items() if split is None)
    splits = sorted(word for word, split in found.items() if split)
    if splits and others:
        raise PreparedError(
            f"The folder {splits[0]} is a split, and {others[0] or 'a picture'!r} beside it isn't; "
            "leave only train, val or test there, or none of them."
        )
    return {member: found[word] or "" for member, word in outer.items()} if splits else {}


def final_splits(published: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return name -> our split, and a sentence for the report.

    Published splits stay. Where a set has a published validation set and no test set, results are
    published on the former, so it is our test split: no training chooses its best epoch by it. If
    then validation is empty, some of train are drawn for it; without any published split, pictures
    are drawn for validation and test.

    Args:
        published: name of each picture -> train, validation or test; empty if its set has none.
    """
    found = {split for split in published.values() if split}
    if not found:
        drawn = draw_splits(published, validation=DRAWN_SHARE, test=DRAWN_SHARE)
        return {name: drawn.get(name, "train") for name in published}, DRAWN_NOTE
    renamed = {"validation": "test"} if found == {"train", "validation"} else {}
    ours = {name: renamed.get(split, split) or "train" for name, split in published.items()}
    if "validation" not in ours.values():
        train = [name for name, split in ours.items() if split == "train"]
        ours |= draw_splits(train, validation=VALIDATION_SHARE)
    return ours, _note(sorted(found), renamed, drawn="validation" not in found or bool(renamed))


def _note(found: list[str], renamed: Mapping[str, str], *, drawn: bool) -> str:
    words = [f"{split} as {renamed[split]}" if split in renamed else split for split in found]
    named, percent = ", ".join(words), round(100 * VALIDATION_SHARE)
    share = f"; {percent} % of train, drawn by name, are validation"
    return f"Splits as published: {named}{share if drawn and 'train' in found else ''}."
