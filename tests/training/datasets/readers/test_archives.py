import stat
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from tests.training.datasets.trees import everywhere, pack, plant
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles

TREE = {"lists/labels.txt": "a 1", "images/b.jpg": b"b", "images/a.jpg": b"a", "images/.c": b"-"}


def test_a_set_is_found_in_folders_and_zips_at_any_depth(tmp_path: Path) -> None:
    for path in everywhere(TREE, tmp_path):
        source = DatasetFiles.locate(path, "mine", "lists/labels.txt")
        assert source.has("images/a.jpg")
        assert source.read("images/b.jpg") == b"b"
        assert list(source.members()) == ["images/a.jpg", "images/b.jpg", "lists/labels.txt"]
        assert list(source.members("images/")) == ["images/a.jpg", "images/b.jpg"]


def test_the_first_existing_file_or_folder_determines_the_root(tmp_path: Path) -> None:
    for path in everywhere(TREE, tmp_path):
        assert DatasetFiles.locate(path, "mine", "train", "images").has("images/a.jpg")
        assert (
            DatasetFiles.locate(path, "mine", "train", "lists/labels.txt", "images").root_of(
                "lists"
            )
            == ""
        )


def test_the_outermost_set_is_used_and_two_at_one_depth_are_refused(tmp_path: Path) -> None:
    outer = plant({"labels.txt": "1", "old/labels.txt": "2"}, tmp_path / "outer")
    assert DatasetFiles.locate(outer, "mine", "labels.txt").read("labels.txt") == b"1"
    tree = {"basic/labels.txt": "1", "compound/labels.txt": "2"}
    for path in everywhere(tree, tmp_path):
        with pytest.raises(PreparedError, match=r"basic/, .*compound/; name the folder you mean"):
            DatasetFiles.locate(path, "mine", "labels.txt")
        assert DatasetFiles.locate(path, "mine", "basic/labels.txt", "labels.txt").has(
            "basic/labels.txt"
        )


@pytest.mark.parametrize("member", ["../x.jpg", "a/../../x.jpg", "/x.jpg", "C:/x.jpg", "..\\x.jpg"])
def test_a_zip_with_a_member_outside_of_it_is_refused(member: str, tmp_path: Path) -> None:
    path = pack({"labels.txt": "1", member: b"x"}, tmp_path / "set.zip")
    with pytest.raises(
        PreparedError, match=r"isn't read: its member .* points outside of it; unpack"
    ):
        DatasetFiles.locate(path, "mine", "labels.txt")


def test_links_and_passwords_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = ZipInfo("passwd.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(PreparedError, match=r"'passwd\.jpg' is a link"):
        DatasetFiles.locate(tmp_path / "link.zip", "mine")
    content = bytearray(pack({"a.jpg": b"a"}, tmp_path / "locked.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(PreparedError, match="has a password; unpack it and name the folder"):
        DatasetFiles.locate(tmp_path / "locked.zip", "mine")


def test_a_damaged_member_is_reported_in_one_sentence(tmp_path: Path) -> None:
    path = pack({"a.jpg": b"a picture"}, tmp_path / "set.zip")
    path.write_bytes(path.read_bytes().replace(b"a picture", b"a forgery"))
    with pytest.raises(PreparedError, match=r"a\.jpg can't be read from .*set\.zip"):
        DatasetFiles.locate(path, "mine").read("a.jpg")
