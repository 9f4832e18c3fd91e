"""Arrays that a prepared set caches, and folders that can't be written or read."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from registry.crops import CropSpec
from training.datasets import prepared
from training.datasets.alignment import aligned
from training.datasets.prepare import toy_set
from training.datasets.prepared import Prepared, PreparedError, reason_of

SPEC = CropSpec(size_px=16, margin=0.1)
NOBODY = 65534


@pytest.fixture(scope="module")
def folder(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "toy"
    shutil.copytree(drawn, folder)
    return folder


@pytest.fixture
def copy(folder: Path) -> Iterator[Path]:
    """Return a copy of the set that other users may read."""
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o755)
        yield shutil.copytree(folder, Path(temporary) / "toy")


@contextmanager
def mode(places: list[Path], bits: int) -> Iterator[None]:
    """Change the mode of files and folders; root becomes the user nobody, so that it applies."""
    is_root = os.geteuid() == 0
    for place in places:
        place.chmod(bits)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for place in places:
            place.chmod(0o755)


def read_only(folder: Path) -> AbstractContextManager[None]:
    return mode([folder, *folder.rglob("*")], 0o555)


@pytest.mark.parametrize("cut", [lambda data: data.faces(SPEC), lambda data: aligned(data, SPEC)])
def test_a_read_only_folder_is_reported_in_one_sentence_with_the_reason(
    cut: Callable[[Prepared], np.ndarray], copy: Path
) -> None:
    with read_only(copy), pytest.raises(PreparedError) as error:
        cut(Prepared.open(copy))
    assert str(error.value) == (
        f"{copy}/cache can't be written: Permission denied: '{copy}/cache'; fix that and run the "
        "same command again."
    )


def test_cached_faces_are_read_from_a_read_only_folder(copy: Path) -> None:
    faces = np.array(Prepared.open(copy).faces(SPEC))
    with read_only(copy):
        assert np.array_equal(Prepared.open(copy).faces(SPEC), faces)


def test_the_message_about_an_unreadable_index_has_the_reason(copy: Path) -> None:
    sentence = r"index.parquet can't be read: .*ermission denied.*; fix that or prepare the set"
    with mode([copy / "index.parquet"], 0), pytest.raises(PreparedError, match=sentence):
        Prepared.open(copy)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(13, "Permission denied", "/a/b.npy"), "Permission denied: '/a/b.npy'"),
        (OSError("encoder error -2\n when writing"), "encoder error -2 when writing"),
        (PermissionError(), "PermissionError"),
    ],
)
def test_the_reason_of_an_error_is_never_empty(
    error: OSError, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    assert reason_of(error) == reason
    monkeypatch.setattr(prepared, "cached_array", fail)
    with pytest.raises(PreparedError, match=f": {reason}; fix that"):
        Prepared.open(folder).faces(SPEC)


def test_a_runs_folder_below_a_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PreparedError, match=r"runs can't be written: Not a directory: .*; fix"):
        toy_set(tmp_path / "file" / "runs")


def test_a_missing_crop_is_reported_in_one_sentence(copy: Path) -> None:
    data = Prepared.open(copy)
    (copy / data.index["path"][3]).unlink()
    with pytest.raises(PreparedError, match=r"can't be read: No such file .*; prepare the set ag"):
        data.faces(CropSpec(size_px=17, margin=0.0))
    assert not list((copy / "cache").glob("*.npy"))


def test_cached_arrays_are_computed_once_and_can_be_written_to(folder: Path) -> None:
    data = Prepared.open(folder)
    first = data.cached("numbers", lambda: np.arange(6.0))
    again = Prepared.open(folder).cached("numbers", lambda: np.zeros(1))
    assert np.array_equal(first, np.arange(6.0))
    assert np.array_equal(again, first)
    torch.from_numpy(again).add_(1)
    assert np.array_equal(data.cached("numbers", lambda: np.zeros(1)), first)
