"""Files that a killed run left half-written."""

from pathlib import Path

from registry.files import PART

OLDER_SUFFIX = ".part"
"""How such files ended before `registry.files` wrote them; folders of earlier runs have some."""


def is_unfinished(file: Path) -> bool:
    """Return whether a file is a half-written one."""
    return file.name.startswith(PART) or OLDER_SUFFIX in file.suffixes[-2:]


def remove_unfinished(folder: Path) -> None:
    """Delete the half-written files of a folder, not of the folders in it.

    Raises:
        OSError: the folder can't be read or written.
    """
    for file in folder.iterdir():
        if is_unfinished(file):
            file.unlink()
