"""Zips of other makers are read, or refused at opening with the true reason and what to do."""

import struct
import zlib
from pathlib import Path
from unicodedata import normalize
from zipfile import ZIP_BZIP2, ZIP_LZMA, ZipFile, ZipInfo

import pytest

from tests.training.datasets.trees import pack, photo, plant
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.readers import affectnet, folder
from training.datasets.readers.zips import METHODS

WORDS = ("happy", "sad")
TREE = {
    f"{person}/{word}.jpg": photo(i, e)
    for i, person in enumerate(("anna", "bo"))
    for e, word in enumerate(WORDS)
}


def written(path: Path, names: dict[bytes, bytes], flag: int = 0, extra: bytes = b"") -> Path:
    """Write a zip whose members have exactly these bytes as names, as no Python code would."""
    body, directory = b"", b""
    for name, content in names.items():
        sums = struct.pack("<LLL", zlib.crc32(content), len(content), len(content))
        start = struct.pack("<HHHHH", 20, flag, 0, 0, 0x5821) + sums
        lengths = struct.pack("<HH", len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<H", 20) + start + lengths
        directory += struct.pack("<HHHLL", 0, 0, 0, 0, len(body)) + name + extra
        body += b"PK\3\4" + start + lengths + name + extra + content
    end = struct.pack("<HHHHLLH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)
    return path


def persons(path: Path) -> set[str | None]:
    return {picture.person for picture in folder.read(path).pictures}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Zoë", "utf-8"),
        ("Müller", "cp437"),
        ("田中", "cp932"),
        ("张伟", "gbk"),
        ("Ольга", "cp866"),
    ],
)
def test_names_are_what_their_maker_meant(name: str, encoding: str, tmp_path: Path) -> None:
    names = {
        f"{name}/{word}.jpg".encode(encoding): photo(e) for e, word in enumerate(("happy", "sad"))
    }
    path = written(tmp_path / "set.zip", names)
    assert persons(path) == {name}
    read = folder.read(path)
    assert [read.source.read(p.member) for p in read.pictures] == list(names.values())


def test_names_in_info_zips_extra_field_win(tmp_path: Path) -> None:
    raw = b"M?ller/happy.jpg"
    field = b"\1" + struct.pack("<L", zlib.crc32(raw)) + "Møller/happy.jpg".encode()
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    assert persons(written(tmp_path / "set.zip", {raw: photo()}, extra=extra)) == {"Møller"}


def test_backslashes_separate_folders_and_pictures_are_found_by_their_table(tmp_path: Path) -> None:
    table = normalize("NFD", "pth,label\nanger\\é1.JPG,happy\nsad/2.jpg,sad\n").encode()
    names = {
        b"copy\\labels.csv": table,
        "copy\\anger\\é1.jpg".encode(): photo(1),
        b".\\copy\\sad\\2.jpg": photo(2),
    }
    dataset = affectnet.read(written(tmp_path / "set.zip", names))
    assert {(p.member, p.emotion) for p in dataset.pictures} == {
        ("copy/anger/é1.jpg", 1),
        ("copy/sad/2.jpg", 2),
    }
    assert all(dataset.source.read(p.member) for p in dataset.pictures)


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_bzip2_and_lzma_are_read(method: int, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "set.zip", "w", method) as archive:
        for name, content in TREE.items():
            archive.writestr(f"outer/one/{name}", content)
    dataset = folder.read(tmp_path / "set.zip")
    assert sorted(dataset.source.read(p.member) for p in dataset.pictures) == sorted(TREE.values())
    assert persons(tmp_path / "set.zip") == {"anna", "bo"}


def refusal(path: Path, dest: Path) -> str:
    """Return why a source is refused, before anything is written."""
    with pytest.raises(PreparedError) as error:
        prepare("folder", path, dest, workers=1)
    assert not dest.exists()
    assert str(error.value).endswith(".")
    return str(error.value)


@pytest.mark.parametrize("number", sorted(METHODS))
def test_a_method_that_isnt_read_is_refused_by_its_name(number: int, tmp_path: Path) -> None:
    content = bytearray(pack(TREE, tmp_path / "set.zip").read_bytes())
    content[content.index(b"PK\1\2") + 10] = number
    (tmp_path / "set.zip").write_bytes(content)
    sentence = refusal(tmp_path / "set.zip", tmp_path / "data")
    assert f"'anna/happy.jpg' is packed by {METHODS[number]}, which this program can't" in sentence
    assert sentence.endswith("unpack it and name the folder.")


def test_an_encrypted_zip_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "set.zip", {b"anna/happy.jpg": photo()}, flag=1)
    sentence = refusal(path, tmp_path / "data")
    assert sentence.endswith("isn't read: it has a password; unpack it and name the folder.")


def test_a_zip_in_a_zip_names_what_to_unpack(tmp_path: Path) -> None:
    inner = pack(TREE, tmp_path / "aligned.zip").read_bytes()
    outer = pack({"Image/aligned.zip": inner, "readme.txt": "-"}, tmp_path / "set.zip")
    sentence = refusal(outer, tmp_path / "data")
    assert "has no pictures but other archives (Image/aligned.zip)" in sentence
    with pytest.raises(PreparedError, match=r"other archives \(Image/aligned\.zip\).*unpack them"):
        prepare("rafdb", outer, tmp_path / "data")
    unpacked = plant({"a/aligned.rar": b"Rar!"}, tmp_path / "folder")
    assert "other archives (a/aligned.rar)" in refusal(unpacked, tmp_path / "data")


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"Rar!\x1a\7", "RAR"), (b"7z\xbc\xaf'\x1c", "7z"), (b"\x1f\x8b\x08", "gzip")],
)
def test_another_kind_of_archive_is_named(start: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(start + bytes(600))
    sentence = refusal(tmp_path / "set.zip", tmp_path / "data")
    assert f"is a {kind} archive, which isn't read" in sentence
    assert sentence.endswith("unpack it and name the folder.")


def test_a_zip_that_is_cut_off_or_torn_is_refused_as_such(tmp_path: Path) -> None:
    whole = pack(TREE, tmp_path / "whole.zip").read_bytes()
    path = tmp_path / "set.zip"
    path.write_bytes(whole[: len(whole) // 2])
    assert "is a zip without its end: it was cut off, or is one of several parts" in refusal(
        path, tmp_path / "data"
    )
    torn = whole.replace(b"PK\1\2", b"PK\0\0", 1)
    path.with_name("torn.zip").write_bytes(torn)
    assert "torn.zip is a damaged zip" in refusal(path.with_name("torn.zip"), tmp_path / "data")
    flagged = written(tmp_path / "name.zip", {b"\xff\xfe/happy.jpg": photo()}, flag=0x800)
    assert "name.zip is a damaged zip" in refusal(flagged, tmp_path / "data")


def test_a_damaged_picture_is_left_out_and_named_with_the_reason(
    examples: Path, tmp_path: Path
) -> None:
    shots = {
        f"anna/{p.name.split('_')[0]}/{p.name}": p.read_bytes() for p in examples.glob("*_0*.jpg")
    }
    name = next(iter(shots))
    with ZipFile(tmp_path / "set.zip", "w") as archive:
        for member, content in shots.items():
            archive.writestr(ZipInfo(member), content)
    whole = (tmp_path / "set.zip").read_bytes()
    place = whole.index(shots[name]) + 500
    (tmp_path / "set.zip").write_bytes(whole[:place] + b"\0\1\2\3" + whole[place + 4 :])
    report = prepare("folder", tmp_path / "set.zip", tmp_path / "data", workers=1)
    assert report.dropped == {"the file is damaged or missing": [name]}
    assert len(Prepared.open(tmp_path / "data").index) == len(shots) - 1
