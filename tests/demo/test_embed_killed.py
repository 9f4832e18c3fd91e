"""`python -m demo embed`, killed by SIGKILL: the same command goes on, each face exactly once."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from torch import Tensor

from demo.__main__ import main
from demo.embedding_table import EmbeddingTable
from registry import versions
from tests.demo.fakes import ALIKE, FakeRegistry, answers

pytestmark = [
    pytest.mark.usefixtures("log_folder"),
    pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL"),
]
KILLED = "import sys; from tests.demo.test_embed_killed import run; run(*sys.argv[1:])"


class Counted:
    """A network that counts the photos it is asked about; `kill_at` kills the process at one."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.photos = 0
        self._kill_at = kill_at
        self._is_checked = False

    def __call__(self, faces: Tensor) -> dict[str, Tensor]:
        self.photos += self._is_checked  # a version that is loaded is checked first
        self._is_checked = True
        if self.photos == self._kill_at:
            kill()
        return dict(answers(ALIKE)(faces))


def kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(where: str, table: str, *photos: str) -> None:
    """Run the command in this process, which is killed at the third photo or in the last step."""
    fake = FakeRegistry()
    fake.put("dln", 3, Counted(3 if where == "third photo" else None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "resolve", fake.resolve)
        patch.setattr(versions, "load", fake.load)
        if where == "last step":
            patch.setattr(pq.ParquetWriter, "write_table", kill)
        main(["embed", *photos, "-o", table, "--local"])


@pytest.mark.parametrize(("where", "left"), [("third photo", 2), ("last step", 0)])
def test_a_killed_command_goes_on_with_each_face_exactly_once(
    where: str, left: int, people: list[Path], group: str, registry: FakeRegistry, tmp_path: Path
) -> None:
    photos = [str(people[0]), group, *map(str, people[1:])]
    table = tmp_path / "faces.parquet"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, where, str(table), *photos]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert not table.exists()
    network = Counted()
    registry.put("dln", 3, network)
    assert main(["embed", *photos, "-o", str(table), "--local"]) == 0
    assert network.photos == left
    faces = [(row["file"], row["face"]) for row in pq.read_table(table).to_pylist()]
    assert faces == [(photos[0], 1), (group, 1), (group, 2), (photos[2], 1), (photos[3], 1)]
    assert sorted(path.name for path in tmp_path.glob("faces*")) == ["faces.parquet"]


def test_a_command_that_finds_no_face_leaves_a_table_and_a_stopped_one_alone(
    people: list[Path], nobody: str, registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.put("dln", 3, Counted())
    table, unfinished = tmp_path / "faces.parquet", tmp_path / "faces.parquet.unfinished"
    assert main(["embed", str(people[0]), "-o", str(table), "--local"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", stop)
        assert main(["embed", *map(str, people), "-o", str(table), "--local"]) == 130
    before = table.read_bytes(), unfinished.read_bytes()
    main(["embed", nobody, "-o", str(table), "--local"])
    assert (table.read_bytes(), unfinished.read_bytes()) == before


def test_a_second_command_for_the_same_table_is_refused_and_spoils_nothing(
    people: list[Path], registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.put("dln", 3, Counted())
    table = tmp_path / "faces.parquet"
    command = ["embed", *map(str, people), "-o", str(table), "--local"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", stop)
        assert main(command) == 130
    before = {path.name: path.read_bytes() for path in tmp_path.glob("faces*")}
    assert list(before) == ["faces.parquet.unfinished"]
    with EmbeddingTable(table, None).opened():
        assert main(command) == 2
    assert f"Another process writes {table} now" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.glob("faces*")} == before
    assert main(command) == 0
    assert pq.read_metadata(table).num_rows == len(people)


def stop(*_: Any) -> None:
    raise KeyboardInterrupt
