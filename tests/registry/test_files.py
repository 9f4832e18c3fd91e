"""A file is whole or as it was before; an array is made once, however many threads read it."""

import threading
from pathlib import Path

import numpy as np
import pytest

from registry.files import atomic_write, cached_array


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with atomic_write(path) as part:
        part.write_text("new")
        assert part.suffix == ".csv"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path) as part:
            part.write_text("half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_array_is_made_by_one_of_the_threads_that_read_it_at_once(tmp_path: Path) -> None:
    calls: list[int] = []
    arrays: list[np.ndarray] = []
    start = threading.Barrier(4)

    def write(part: Path) -> None:
        calls.append(1)
        np.save(part, np.arange(5))

    def read() -> None:
        start.wait()
        arrays.append(cached_array(tmp_path / "cache" / "five.npy", write))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert [each.tolist() for each in arrays] == [[0, 1, 2, 3, 4]] * 4
    with pytest.raises(ValueError, match="read-only"):
        arrays[0][0] = 9


def test_an_array_that_could_not_be_made_is_made_at_the_next_call(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"

    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        cached_array(path, fail)
    assert cached_array(path, lambda part: np.save(part, np.ones(2))).tolist() == [1, 1]
