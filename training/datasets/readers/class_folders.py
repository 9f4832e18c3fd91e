"""Pictures in folders of their classes, `CLASS/FILE`, in folders of published splits or in none."""

from collections.abc import Container, Sequence
from pathlib import PurePosixPath

from training.datasets.readers.label_rows import LabelRow, RejectedRows, picture_name
from training.datasets.readers.published_splits import final_splits, outer_splits, split_of
from training.datasets.source import PictureRecord


def find_class_folders(
    members: Sequence[str], labels: Container[str], rejected: RejectedRows
) -> list[LabelRow] | None:
    """Return pictures in `CLASS/FILE` or `SPLIT/CLASS/FILE`; None if they lie in other folders.

    The label of a row is the name of its folder, in lower case; its split is the published one, or
    empty.

    Args:
        members: pictures of a source.
        labels: the classes, in lower case.
        rejected: counts the pictures that are in no folder of a class.

    Raises:
        PreparedError: some outer folders are splits and others aren't.
    """
    chosen = [member for member in members if _class_of(member) in labels]
    root = common_folder(chosen) if chosen else ""
    paths = {member: PurePosixPath(member).relative_to(root) for member in chosen}
    published = outer_splits(paths)
    if not chosen or any(len(p.parts) != (3 if published else 2) for p in paths.values()):
        return None
    for member in sorted(set(members) - set(chosen)):
        rejected.reject("not in a folder of a class", member, PurePosixPath(member).parent.name)
    return [LabelRow(m, m, picture_name(m), _class_of(m), published.get(m, "")) for m in chosen]


def split_pictures(labelled: Sequence[tuple[LabelRow, int]]) -> tuple[list[PictureRecord], str]:
    """Return the pictures of rows with published splits or none, and a sentence on the splits."""
    splits, note = final_splits({row.name: row.split for row, _ in labelled})
    pictures = [
        PictureRecord(member=row.member, name=row.name, split=splits[row.name], emotion=emotion)
        for row, emotion in labelled
    ]
    return pictures, note


def common_folder(members: Sequence[str]) -> str:
    """Return the folders around all pictures, but no folder that is a split.

    Each picture keeps at least one folder below them.
    """
    parts = [PurePosixPath(member).parts for member in members]
    deepest = min(map(len, parts)) - 2
    depth = 0
    while (
        depth < deepest
        and len({p[depth] for p in parts}) == 1
        and split_of(parts[0][depth]) is None
    ):
        depth += 1
    return "/".join(parts[0][:depth])


def _class_of(member: str) -> str:
    return PurePosixPath(member).parent.name.strip().lower()
