"""Item 18: names that no console prints, and tables that are stopped midway."""

import codecs
import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pyarrow import parquet
from torch import Tensor

from demo.__main__ import main
from tests.demo.fakes import ALIKE, FakeRegistry, answers

pytestmark = pytest.mark.usefixtures("terminal")


@pytest.fixture
def photos(examples: Path, tmp_path: Path) -> list[str]:
    """Return the paths of three photos, not sorted by name."""
    names = ("c.jpg", "a.jpg", "b.jpg")
    return [
        str(shutil.copy(source, tmp_path / name))
        for source, name in zip(sorted(examples.glob("*.jpg")), names, strict=False)
    ]


class Counted:
    """A network that counts the photos it is asked about, and may be stopped before one of them."""

    def __init__(self, stopped_before: int | None = None) -> None:
        self.asked = 0
        self._stopped_before = stopped_before

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        self.asked += len(faces) == 1  # the check of a version that is loaded takes two faces
        if self.asked == self._stopped_before:
            raise KeyboardInterrupt
        return answers(ALIKE)(faces)


def test_a_name_that_the_console_lacks_is_escaped(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = shutil.copy(photos[0], tmp_path / "smile \U0001f600\x1b[31m.jpg")
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", console)
    assert main(["emotion", str(photo)]) == 0
    printed = console.buffer.getvalue().decode("cp1252")  # type: ignore[attr-defined]
    assert "smile \\U0001f600\\x1b[31m.jpg, face 1: " in printed


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes")
def test_every_name_is_read_back_from_the_table(photos: list[str], tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", "café.jpg".encode(), b"back\\slash\xe9.jpg", b"\\xe9.jpg"]
    files = [os.fsencode(tmp_path) + b"/" + name for name in names]
    for file in files:
        shutil.copy(os.fsencode(photos[0]), file)
    table = tmp_path / "faces.parquet"
    assert main(["embed", *map(os.fsdecode, files), "-o", str(table)]) == 0
    written = parquet.read_table(table)["file"].to_pylist()
    assert [name_of(cell) for cell in written] == files
    assert written[1] == os.fsdecode(files[1])


def name_of(cell: str) -> bytes:
    """Return the bytes of a file's name in a table, as docs/try.md says."""
    escaped = "\\" in cell
    return codecs.decode(cell, "unicode_escape").encode("latin-1") if escaped else cell.encode()


def test_a_stopped_table_is_kept_and_resumed(
    fake: FakeRegistry, photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, unfinished = tmp_path / "faces.parquet", tmp_path / "faces.parquet.unfinished"
    table.write_bytes(b"before")
    fake.put("dln", 3, Counted(stopped_before=3))
    command = ["embed", *photos, "-o", str(table)]
    assert main(command) == 130
    assert (
        "faces.parquet.unfinished: run the same command again to go on" in capsys.readouterr().err
    )
    assert table.read_bytes() == b"before"
    with unfinished.open("ab") as file:
        file.write(b'{"photo": "cut o')  # as after kill -9 or on a full disk
    resumed = Counted()
    fake.put("dln", 3, resumed)
    assert main(command) == 0
    assert resumed.asked == 1
    assert parquet.read_table(table)["file"].to_pylist() == photos
    assert not unfinished.exists()


def test_rows_of_a_version_that_was_replaced_are_not_kept(
    fake: FakeRegistry, photos: list[str], tmp_path: Path
) -> None:
    table = tmp_path / "faces.parquet"
    fake.put("dln", 3, Counted(stopped_before=3))
    assert main(["embed", *photos, "-o", str(table)]) == 130
    promoted = Counted()
    fake.put("dln", 4, promoted)
    assert main(["embed", *photos, "-o", str(table)]) == 0
    assert promoted.asked == 3
    assert set(parquet.read_table(table)["version"].to_pylist()) == {4}
