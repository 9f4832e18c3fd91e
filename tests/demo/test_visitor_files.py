"""The folder of visitors' pictures: how much room it has, and what it costs to know that."""

import os
from pathlib import Path

import pytest

from demo import visitor_files
from demo.visitor_files import FolderFull, VisitorFolder

FOLDER_BYTES = 1000


@pytest.fixture
def folder(tmp_path: Path) -> VisitorFolder:
    return VisitorFolder(tmp_path, FOLDER_BYTES)


def upload(folder: VisitorFolder, name: str, size_bytes: int) -> Path:
    folder.expect(name, size_bytes)
    file = folder.path / name
    file.write_bytes(bytes(size_bytes))
    folder.arrived(name)
    return file


def test_there_is_room_again_as_soon_as_pictures_were_deleted(folder: VisitorFolder) -> None:
    first = upload(folder, "first", 600)
    with pytest.raises(FolderFull, match="deleted after 60 minutes"):
        folder.expect("second", 600)
    first.unlink()
    upload(folder, "second", 600)
    folder.expect("third", 400)
    with pytest.raises(FolderFull):
        folder.expect("fourth", 1)


def test_files_are_not_all_looked_at_for_each_upload(
    folder: VisitorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, walk = [], os.walk
    monkeypatch.setattr(visitor_files, "MEASURED_EVERY_SECONDS", 3600.0)
    monkeypatch.setattr(os, "walk", lambda top: looks.append(top) or walk(top))
    for number in range(10):
        upload(folder, str(number), 100)
    assert looks == [folder.path]
    with pytest.raises(FolderFull):
        folder.expect("one more", 1)


def test_files_that_were_not_uploaded_count(
    folder: VisitorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor_files, "MEASURED_EVERY_SECONDS", 0.0)
    upload(folder, "first", 500)
    (folder.path / "drawn").write_bytes(bytes(400))
    with pytest.raises(FolderFull):
        folder.expect("second", 200)
