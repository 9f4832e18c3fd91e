"""`python -m demo embed --ray`: the same table as without Ray, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lancedb
import psutil
import pytest
from pyarrow import parquet

from demo.__main__ import main
from demo.local_answers import LocalAnswers
from registry.ray_cluster import Workers, joined
from registry.ray_map import map_items
from tests.team.ray.conftest import PHOTOS, environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("registry")]
TWO = Workers(count=2, cpus=1)
ITEMS = 100


class Killed(NamedTuple):
    """What a killed command left: its table, the rows before it, its arguments, its processes."""

    table: Path
    unfinished: Path
    named: list[str]
    family: list[psutil.Process]


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


@pytest.fixture(scope="module")
def killed(registry: Path, album: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Kill the command when it has computed the first photos."""
    assert registry.is_dir()
    table = tmp_path_factory.mktemp("killed") / "faces.parquet"
    named = [str(album / "photos"), str(album / "more.zip"), "-o", str(table)]
    command = [sys.executable, "-m", "demo", "embed", *named, "--ray", "--workers", "1"]
    unfinished = table.with_name("faces.parquet.unfinished")
    running = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    while not unfinished.exists() and running.poll() is None:
        time.sleep(0.02)
    family = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    return Killed(table, unfinished, named, family)


def test_photos_of_a_killed_command_are_not_computed_again(
    killed: Killed, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [each for each in killed.family if "MapWorker" in name_of(each)]
    assert psutil.wait_procs(workers, timeout=240)[1] == []
    done = [json.loads(line)["photo"] for line in killed.unfinished.read_text().splitlines()]
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


def name_of(process: psutil.Process) -> str:
    """Return the command line of a process, empty where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def deadly(folder: Path) -> Any:
    def answer(item: int) -> int:
        mark = folder / str(item)
        if item in (30, 70) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item * item

    return answer


@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_loses_and_doubles_no_item(tmp_path: Path) -> None:
    with joined():
        found = list(map_items(partial(deadly, tmp_path), list(range(ITEMS)), TWO))
    assert {path.name for path in tmp_path.iterdir()} == {"30", "70"}
    assert sorted(found) == [(item, item * item) for item in range(ITEMS)]


def test_a_killed_command_leaves_no_process(killed: Killed) -> None:
    """Two of Ray's take a minute to notice: hence this test is the last one."""
    assert killed.family
    assert psutil.wait_procs(killed.family, timeout=240)[1] == []
