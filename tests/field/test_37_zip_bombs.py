"""Members that would unpack to gigabytes are refused before they are read, and by what comes."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile

import pytest

from tests.field.test_06_archives import TREE, refusal
from tests.training.datasets.trees import pack, photo, plant
from training.datasets.prepare import prepare
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.zips import LARGEST_BYTES
from training.datasets.source import MemberError

MIB = 1 << 20


def bomb(path: Path, name: str, mib: int, method: int = ZIP_DEFLATED) -> Path:
    """Write a zip of `TREE` and a member of zeros."""
    with ZipFile(path, "w", method) as archive:
        for member, content in TREE.items():
            archive.writestr(member, content)
        with archive.open(name, "w", force_zip64=True) as file:
            for _ in range(mib):
                file.write(bytes(MIB))
    return path


def lying(path: Path, says: int) -> Path:
    """Change the declared size of a zip's last member, in both places where it stands."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\1\2")
    content[entry + 24 : entry + 28] = struct.pack("<L", says)
    path.write_bytes(content)
    return path


def test_a_picture_larger_than_any_that_is_read_is_refused_at_opening(tmp_path: Path) -> None:
    path = bomb(tmp_path / "set.zip", "anna/sad/2.tiff", 321)
    sentence = refusal(path, tmp_path / "data")
    assert "'anna/sad/2.tiff' has 336,592,896 bytes, more than the 320 MiB that are" in sentence
    assert sentence.endswith("take that file out of it.")


def test_a_table_that_unpacks_a_thousandfold_is_refused_at_opening(tmp_path: Path) -> None:
    path = bomb(tmp_path / "set.zip", "labels.csv", 64)
    sentence = refusal(path, tmp_path / "data")
    assert "'labels.csv' would unpack from " in sentence
    assert "to 67,108,864 bytes, more than 200 times as many" in sentence


@pytest.mark.parametrize("method", [ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA])
def test_a_member_that_holds_more_than_declared_costs_no_memory(
    method: int, tmp_path: Path
) -> None:
    path = lying(bomb(tmp_path / "set.zip", "anna/sad/2.tiff", 96, method), 5000)
    limited = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from training.datasets.readers.archives import DatasetFiles\n"
        "from training.datasets.source import MemberError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "files = DatasetFiles.locate(Path(sys.argv[1]), 'folder')\n"
        "try:\n"
        "    files.read('anna/sad/2.tiff')\n"
        "except MemberError as error:\n"
        "    print(error.reason)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(path)], capture_output=True, text=True, check=True
    )
    reason, kib = done.stdout.split("\n")[:2]
    assert reason == "the file is damaged or missing"
    assert int(kib) < 64 * 1024


def test_a_large_file_of_a_folder_is_left_out_unread(tmp_path: Path) -> None:
    source = plant({"anna/fear.bmp": b""}, tmp_path / "mine")
    with (source / "anna" / "fear.bmp").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(MemberError, match=r"fear\.bmp of .* has 335,544,321 bytes, more than"):
        DatasetFiles(source).read("anna/fear.bmp")
    with pytest.raises(PreparedError, match=r"1: the file is larger than 320 MiB"):
        prepare("folder", source, tmp_path / "data", workers=1)


def test_blank_pictures_and_tables_of_a_usual_size_are_no_bombs(tmp_path: Path) -> None:
    tree = {**TREE, "anna/fear.bmp": bytes(8 * MIB), "notes.txt": "a" * MIB}
    with ZipFile(pack(tree, tmp_path / "set.zip"), "a", ZIP_DEFLATED) as archive:
        archive.writestr("bo/fear.bmp", bytes(8 * MIB))
    files = DatasetFiles.locate(tmp_path / "set.zip", "folder")
    assert len(files.read("bo/fear.bmp")) == 8 * MIB


def test_a_member_that_holds_less_than_declared_is_damaged(tmp_path: Path) -> None:
    path = lying(pack({"a.jpg": b"-", "b.jpg": photo()}, tmp_path / "set.zip"), MIB)
    with pytest.raises(MemberError) as error:
        DatasetFiles(path).read("__MACOSX/._a.jpg")
    assert error.value.reason == "the file is damaged or missing"
    assert zlib.crc32(DatasetFiles(path).read("b.jpg")) == zlib.crc32(photo())
