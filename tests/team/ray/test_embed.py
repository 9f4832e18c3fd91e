"""`python -m demo embed --ray`: the same table as without Ray, whatever is killed."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import lancedb
import pytest
from pyarrow import parquet

from demo.__main__ import main
from demo.local_answers import LocalAnswers
from registry.ray_cluster import Workers, joined
from registry.ray_map import map_items
from tests.team.ray.conftest import PHOTOS, Killed, whole_lines
from tests.team.ray.mapped import DEADLY, make_deadly

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("registry")]
TWO = Workers(count=2, cpus=1)
ITEMS = 100


@pytest.fixture(scope="module")
def plain(registry: Path, album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table that the command writes without Ray."""
    table = tmp_path_factory.mktemp("plain") / "faces.parquet"
    named = [str(album / "photos"), str(album / "more.zip")]
    assert registry.is_dir()
    assert main(["embed", *named, "-o", str(table), "--local"]) == 2
    return table


def rows(table: Path) -> list[dict[str, Any]]:
    if table.suffix == ".parquet":
        return parquet.read_table(table).to_pylist()
    return lancedb.connect(table.parent).open_table(table.stem).to_arrow().to_pylist()


def test_two_workers_write_the_table_of_the_plain_command(
    album: Path, plain: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "faces.parquet"
    named = [str(album / "photos"), str(album / "more.zip"), str(table)]
    assert main(["embed", *named, "--ray", "--workers", "2"]) == 2
    assert table.read_bytes() == plain.read_bytes()
    assert len(rows(table)) == PHOTOS + 2
    printed = capfd.readouterr()
    assert printed.out == f"{table} holds {PHOTOS + 2} faces of {PHOTOS + 2} photos.\n"
    (refusal,) = [line for line in printed.err.splitlines() if not line.startswith("photos embed")]
    assert "broken.jpg" in refusal
    assert list(tmp_path.iterdir()) == [table]


def test_photos_of_a_killed_command_are_not_computed_again(
    killed: Killed, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [json.loads(line)["photo"] for line in whole_lines(killed.unfinished)]
    computed: list[str] = []
    embed = LocalAnswers.embed

    def counted(answers: LocalAnswers, photo: Any, face: int | None) -> Any:
        computed.append(str(photo))
        return embed(answers, photo, face)

    monkeypatch.setattr(LocalAnswers, "embed", counted)
    assert main(["embed", *killed.named, "--local"]) == 2
    assert done
    assert sorted([*done, *computed]) == sorted(row["file"] for row in rows(plain))
    assert killed.table.read_bytes() == plain.read_bytes()


@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_loses_and_doubles_no_item(tmp_path: Path) -> None:
    with joined():
        found = list(map_items(partial(make_deadly, tmp_path), list(range(ITEMS)), TWO))
    assert {path.name for path in tmp_path.iterdir()} == {*map(str, DEADLY)}
    assert sorted(found) == [(item, item * item) for item in range(ITEMS)]
