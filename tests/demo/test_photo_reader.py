"""The reader of photos: what it keeps in memory, and for how long."""

import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.photo_reader import CROPS_BYTES, PhotoReader
from registry.faces import Face, FaceCropper
from registry.photos import PhotoError
from tests.test_app import until


class CountingCropper(FaceCropper):
    """Counts the photos in which it looks for faces."""

    def __init__(self) -> None:
        super().__init__()
        self.photos = 0

    def faces(self, photo: np.ndarray) -> list[Face]:
        self.photos += 1
        return super().faces(photo)


def test_the_same_content_is_read_once_whatever_the_file_is_called(
    people: list[Path], tmp_path: Path
) -> None:
    cropper = CountingCropper()
    reader = PhotoReader(cropper)
    first = reader.read(people[0])
    renamed = shutil.copy(people[0], tmp_path / "renamed.jpg")
    assert reader.read(renamed) is first
    assert cropper.photos == 1
    assert reader.read(people[1]) is not first
    assert cropper.photos == 2


def test_another_picture_under_the_same_name_is_another_photo(
    people: list[Path], tmp_path: Path
) -> None:
    reader, path = PhotoReader(), tmp_path / "photo.jpg"
    shutil.copy(people[0], path)
    first = reader.read(path)
    shutil.copy(people[1], path)
    assert (reader.read(path).pixels[:50] != first.pixels[:50]).any()


def test_no_more_is_kept_than_it_may(people: list[Path], tmp_path: Path) -> None:
    Image.new("RGB", (800, 800)).save(tmp_path / "large.png")
    cropper, one = CountingCropper(), 3 * 321 * 321 + CROPS_BYTES
    reader = PhotoReader(cropper, kept_bytes=2 * one)
    for path in (*people, tmp_path / "large.png"):
        reader.read(path)
        assert reader.kept_bytes <= 2 * one
    assert reader.kept_bytes > 0
    before = cropper.photos
    reader.read(people[0])
    assert cropper.photos == before + 1


def test_after_its_time_nothing_is_kept(people: list[Path]) -> None:
    reader = PhotoReader(kept_seconds=0.5)
    pixels = weakref.ref(reader.read(people[0]).pixels)
    assert until(lambda: pixels() is None, 100)
    assert reader.kept_bytes == 0


def test_a_photo_that_is_deleted_while_it_is_read_is_asked_for_again(
    people: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "photo.jpg"
    shutil.copy(people[0], photo)
    monkeypatch.setattr("demo.photo_reader.check_photo", Path.unlink)
    with pytest.raises(PhotoError, match=r"^photo\.jpg is not there any more; add it again\.$"):
        PhotoReader().read(photo)


def test_what_is_no_photo_is_refused_each_time(text: str) -> None:
    reader = PhotoReader()
    for _ in range(2):
        with pytest.raises(PhotoError, match=r"text\.jpg is not a picture"):
            reader.read(text)
