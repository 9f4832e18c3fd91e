import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path

import pytest
import torch

from registry import store, versions
from registry.__main__ import main
from registry.errors import BadBackup, EmptyRegistry, Unreachable
from registry.promotion import journal, promote
from registry.store import backup
from tests.registry.conftest import Register

pytestmark = pytest.mark.usefixtures("restored_logging")
HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT 1 FROM runs")
print("open", flush=True)
time.sleep(600)
"""
FAULTS = ("cut", "flipped", "foreign", "link", "outside", "text", "absent")


@pytest.fixture
def saved(register: Register, tmp_path: Path) -> Path:
    """Return a backup of a registry with two versions, the first in production."""
    register(), register()
    promote("dln", 1, "the first")
    backup.write(tmp_path / "saved.tar")
    return tmp_path / "saved.tar"


def answer(reference: str) -> dict[str, torch.Tensor]:
    faces = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    outputs: dict[str, torch.Tensor] = versions.load(reference)(faces)
    return outputs


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".lock" not in path.name and "logs" not in path.parts
    }


def test_a_backup_is_restored_in_another_folder_with_all_versions_and_the_journal(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer("dln")
    old = store.folder()
    assert old is not None
    shutil.rmtree(old)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "elsewhere é"))
    assert backup.restore(saved) is None
    for name, value in answer("dln").items():
        assert torch.equal(value, expected[name])
    assert [entry.why for entry in journal.read("dln")] == ["the first"]
    assert promote("dln", 2).number == 2


def test_what_was_there_before_is_kept(saved: Path) -> None:
    promote("dln", 2)
    before = store.folder()
    assert before is not None
    replaced = backup.restore(saved)
    assert versions.resolve("dln").number == 1
    assert replaced is not None
    with sqlite3.connect(replaced / "mlflow.db") as connection:
        (found,) = connection.execute("SELECT version FROM registered_model_aliases").fetchall()
    assert found == (2,)


def test_a_registry_that_somebody_uses_is_not_replaced(saved: Path) -> None:
    folder = store.folder()
    assert folder is not None
    command = [sys.executable, "-c", HOLD, str(folder / "mlflow.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as user:
        assert user.stdout
        assert user.stdout.readline()
        with pytest.raises(Unreachable, match=f"used by process {user.pid} .*end that first"):
            backup.restore(saved)
        user.kill()
    assert backup.restore(saved) is not None


def test_what_is_no_whole_backup_changes_nothing(saved: Path) -> None:
    folder, whole = store.folder(), saved.read_bytes()
    assert folder is not None
    before = content(folder)
    for fault in FAULTS:
        saved.write_bytes(whole)
        spoil(saved, fault)
        with pytest.raises(BadBackup, match="nothing was changed"):
            backup.restore(saved)
        assert content(folder) == before, fault


def spoil(file: Path, fault: str) -> None:
    """Turn a backup into one that must be refused."""
    whole = file.read_bytes()
    if fault == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif fault == "flipped":
        with tarfile.open(file) as archive:
            place = archive.getmember("mlflow.db").offset_data + 5000
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    elif fault == "text":
        file.write_text("no backup")
    elif fault == "absent":
        file.unlink()
    else:
        member = tarfile.TarInfo(
            {"foreign": "other.txt", "outside": "artifacts/../../x"}.get(fault, "artifacts/x")
        )
        if fault == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        with tarfile.open(file, "a") as archive:
            archive.addfile(member, BytesIO())


def test_a_killed_restore_is_done_once_more(saved: Path) -> None:
    command = [sys.executable, "-m", "registry", "restore", str(saved)]
    folder = store.folder()
    assert folder is not None
    for _ in range(3):
        with subprocess.Popen(command, env=os.environ, start_new_session=True) as process:
            while process.poll() is None and not list(folder.glob("restoring-*")):
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    assert main(["restore", str(saved)]) == 0
    assert not list(folder.glob("restoring-*"))
    assert versions.resolve("dln").number == 1
    answer("dln")


def test_a_backup_never_replaces_a_file_and_needs_a_registry(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", str(saved)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["backup", str(tmp_path / "no" / "such" / "file.tar")]) == 2
    assert main(["backup", str(tmp_path / "again.tar")]) == 0
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "empty"))
    with pytest.raises(EmptyRegistry):
        backup.write(tmp_path / "nothing.tar")
    assert not (tmp_path / "nothing.tar").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE")
    with pytest.raises(Unreachable, match="a server's") as error:
        backup.write(tmp_path / "nothing.tar")
    assert "secret" not in str(error.value)
