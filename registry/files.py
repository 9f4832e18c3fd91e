"""Files that are whole or absent, written under another name first; arrays that are made once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
from filelock import FileLock

PART = ".part-"
"""How the name of an unfinished file begins."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; the file is renamed to `path` when the block ends.

    Whatever was at `path` stays until then, and stays for good if the block raises. A killed
    process may leave a hidden file whose name begins with PART.

    Args:
        path: where the file will be; its folder exists. The part keeps its suffix.

    Raises:
        OSError: the folder can't be written, the disk is full, or the name is too long.
    """
    part = path.with_name(f"{PART}{uuid4().hex}{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Delete the half-written files of a folder, not those of the folders in it.

    Raises:
        OSError: the folder can't be read or written.
    """
    for file in folder.glob(f"{PART}*"):
        file.unlink()


def cached_array(path: Path, write: Callable[[Path], None]) -> np.memmap:
    """Return the array in a .npy file as a read-only memory map, making the file if it is absent.

    Safe between threads and processes: a lock file beside it lets one of them write.

    Args:
        path: the .npy file; its folder is made.
        write: writes the array to the path it is given, such as by `numpy.save`.

    Raises:
        OSError: the file can't be written or read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                with atomic_write(path) as part:
                    write(part)
    array: np.memmap = np.load(path, mmap_mode="r")
    return array
