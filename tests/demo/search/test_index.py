"""What is kept of a folder: nothing is computed twice, nothing that is gone stays."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.__main__ import main
from demo.embedding_table import VersionChanged
from demo.photo_files import PhotoFile
from demo.search.index import FolderIndex, state_folder
from tests.demo.fakes import FakeRegistry
from tests.demo.search.conftest import ColourNetwork, Shade
from tests.demo.search.test_search import Printed, found, names

pytestmark = pytest.mark.usefixtures("log_folder")


@pytest.fixture
def computed(network: ColourNetwork, folder: Path, query: Path) -> ColourNetwork:
    """Return the network of a folder that was searched once; its count begins again at 0."""
    assert main(["search", str(folder), str(query)]) == 0
    network.faces = 0
    return network


def faces_computed(network: ColourNetwork, folder: Path, query: Path) -> int:
    """Search once more; return for how many faces the network was asked, that searched for aside.

    A version is checked when it is loaded: on two faces.
    """
    network.faces = 0
    assert main(["search", str(folder), str(query)]) == 0
    return network.faces - 1 - 2


def test_known_photos_are_not_computed_again_whatever_their_names_and_times(
    computed: ColourNetwork, folder: Path, query: Path, capsys: Printed
) -> None:
    assert faces_computed(computed, folder, query) == 0
    (folder / "dark.png").rename(folder / "renamed.png")
    os.utime(folder / "middle.png")
    assert faces_computed(computed, folder, query) == 0
    capsys.readouterr()
    assert names(found(capsys, folder, query)) == ["renamed", "middle", "bright"]


def test_a_changed_photo_is_computed_again(
    computed: ColourNetwork, folder: Path, query: Path, shade: Shade, capsys: Printed
) -> None:
    shade(folder / "dark.png", 1.3)
    assert faces_computed(computed, folder, query) == 1
    capsys.readouterr()
    answer = found(capsys, folder, query)
    assert names(answer) == ["middle", "bright", "dark"]
    assert answer["faces"] == 3


def test_a_photo_that_is_gone_leaves_nothing_on_the_disk(
    computed: ColourNetwork, folder: Path, query: Path, capsys: Printed
) -> None:
    assert b"dark.png" in bytes_of(state_folder())
    (folder / "dark.png").unlink()
    assert faces_computed(computed, folder, query) == 0
    capsys.readouterr()
    answer = found(capsys, folder, query)
    assert (names(answer), answer["faces"]) == (["middle", "bright"], 2)
    assert b"dark.png" not in bytes_of(state_folder())


def test_ctrl_c_loses_nothing(
    network: ColourNetwork, folder: Path, query: Path, capsys: Printed
) -> None:
    network.stop = 2 + 1 + 3  # the check of the version, the query, and the third photo
    assert main(["search", str(folder), str(query)]) == 130
    assert "run the same command again" in capsys.readouterr().err
    network.stop = None
    assert faces_computed(network, folder, query) == 1


def test_another_version_computes_all_again_and_the_old_vectors_go(
    computed: ColourNetwork, registry: FakeRegistry, folder: Path, query: Path
) -> None:
    registry.put("dln", 4, computed)
    assert faces_computed(computed, folder, query) == 3
    assert [path.name[:6] for path in tables()] == ["dln-4-", "files."]


def test_vectors_of_two_versions_are_never_mixed(folder: Path) -> None:
    def embed(photo: PhotoFile) -> list[dict[str, Any]]:
        vectors = {"expression": [1.0, 0.0], "identity": [0.0, 1.0]}
        version = 3 if "dark" in str(photo) else 2
        return [{"face": 1, "box": [0, 0, 1, 1], "version": version, "run_id": "1"} | vectors]

    with FolderIndex(folder, (2, "1")) as index:
        index.include(PhotoFile(folder / "middle.png"), embed)
        with pytest.raises(VersionChanged, match="was promoted meanwhile"):
            index.include(PhotoFile(folder / "dark.png"), embed)
    assert index.faces == 1


@pytest.mark.usefixtures("log_folder", "computed")
def test_two_processes_do_not_index_one_folder_at_once(
    folder: Path, query: Path, capsys: Printed
) -> None:
    with FolderIndex(folder, (3, f"{3:032x}")):
        assert main(["search", str(folder), str(query)]) == 2
        assert "Another process indexes" in capsys.readouterr().err
        assert main(["search", str(folder), "--forget"]) == 2
    assert main(["search", str(folder), str(query)]) == 0


def test_forget_deletes_all_that_is_kept_of_a_folder_and_of_no_other(
    computed: ColourNetwork, folder: Path, query: Path, tmp_path: Path, capsys: Printed
) -> None:
    other = tmp_path / "other"
    folder.rename(other)
    assert main(["search", str(other), str(query)]) == 0
    assert main(["search", str(folder), "--forget"]) == 0
    assert "is deleted; the photos stay" in capsys.readouterr().out
    assert len(list(state_folder().iterdir())) == 1
    assert faces_computed(computed, other, query) == 0
    assert main(["search", str(folder), "--forget"]) == 0
    assert "Nothing is kept" in capsys.readouterr().out


def test_a_damaged_index_gets_a_sentence_with_the_way_out(
    computed: ColourNetwork, folder: Path, query: Path, capsys: Printed
) -> None:
    for file in state_folder().rglob("*.lance/*/*"):
        file.write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["search", str(folder), str(query)]) == 2
    assert "--forget" in capsys.readouterr().err
    assert main(["search", str(folder), "--forget"]) == 0
    assert faces_computed(computed, folder, query) == 3


@pytest.mark.usefixtures("log_folder", "computed")
def test_nobody_else_may_read_what_is_kept() -> None:
    assert [path.stat().st_mode & 0o077 for path in state_folder().iterdir()] == [0]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def tables() -> Sequence[Path]:
    return sorted(state_folder().glob("*/*.lance"))
