"""Functions that the tests give to Ray's workers, each of which imports this file and no more."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

DEADLY = (30, 70)
"""The items whose worker dies when it meets one of them for the first time."""


def full_disk(item: int) -> int:
    """Raise what a full disk raises.

    Raises:
        OSError: always.
    """
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"crop-{item}.png")


def make_full_disk() -> Callable[[int], int]:
    """Return the function `full_disk`."""
    return full_disk


def make_deadly(folder: Path) -> Callable[[int], int]:
    """Return a function that squares an item, and kills its process at the first of each DEADLY.

    Args:
        folder: where a file is made for each item that killed a process.
    """

    def square(item: int) -> int:
        mark = folder / str(item)
        if item in DEADLY and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item * item

    return square
