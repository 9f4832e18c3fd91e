"""No picture outlives its hour or its page: not an upload that broke off, not after kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import visitor_files
from demo.visitor_files import LIFETIME_SECONDS, VisitorFolder
from tests.field.open_page import Visitor
from tests.field.running_app import RunningApp, running_app
from tests.field.test_40_bad_requests import connected, upload_head
from tests.test_app import until

pytestmark = pytest.mark.xdist_group("app")
HOLDER = """
import sys
from pathlib import Path
from demo.visitor_files import VisitorFolder
folder = VisitorFolder(Path(sys.argv[1]))
(folder.path / "picture").write_bytes(b"0" * 1000)
print(folder.path, flush=True)
sys.stdin.read()
"""
"""Makes a folder of visitors' pictures, and keeps it until it is killed."""


def pictures(folder: Path) -> list[Path]:
    """Return all files that pages left in a temporary folder, their locks aside."""
    return [p for p in (folder / "tmp").rglob("*") if p.is_file() and p.suffix != ".lock"]


def break_an_upload_off(app: RunningApp, folder: Path) -> None:
    visitor = Visitor(app.url())
    before = len(pictures(folder))
    with connected(visitor) as upload:
        upload.sendall(upload_head(visitor, 20_000_000) + b"0" * 1_000_000)
        assert until(lambda: len(pictures(folder)) > before, 100)


def test_a_killed_page_and_one_that_is_ended_leave_no_picture(
    tmp_path: Path, examples: Path
) -> None:
    with running_app(tmp_path) as killed:
        break_an_upload_off(killed, tmp_path)
        Visitor(killed.url()).upload(next(examples.glob("*.jpg")))
        killed.process.kill()
        killed.process.wait(20)
    left = pictures(tmp_path)
    assert len(left) >= 2
    with running_app(tmp_path) as ended:
        break_an_upload_off(ended, tmp_path)
        assert not [path for path in left if path.exists()]
        assert len(pictures(tmp_path)) == 1
        ended.process.send_signal(signal.SIGINT)
        assert ended.process.wait(60) == 0
    assert pictures(tmp_path) == []
    assert not list((tmp_path / "tmp").glob("expression-studio-page-*"))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_another_pages_pictures_stay_while_it_is_open(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    assert holder.stdout
    others = Path(holder.stdout.readline().strip())
    first = VisitorFolder(tmp_path)
    assert (others / "picture").exists()
    holder.kill()
    holder.wait(20)
    second = VisitorFolder(tmp_path)
    assert not others.exists()
    assert first.path.is_dir()
    for folder in (first, second):
        folder.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_older_than_an_hour_is_deleted_whoever_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor_files, "SWEEP_SECONDS", 0.05)
    folder = VisitorFolder(tmp_path)
    for name, age in (("old", LIFETIME_SECONDS + 60), ("new", LIFETIME_SECONDS - 60)):
        (folder.path / name).mkdir()
        (folder.path / name / "picture.jpg").write_bytes(b"0")
        os.utime(folder.path / name / "picture.jpg", (0, time.time() - age))
    folder.remove_regularly()
    assert until(lambda: not (folder.path / "old").exists(), 100)
    assert (folder.path / "new" / "picture.jpg").exists()
    folder.close()


def test_a_folder_that_somebody_else_linked_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"0")
    (tmp_path / "expression-studio-page-1").symlink_to(kept)
    (tmp_path / "expression-studio-page-1.lock").touch()
    VisitorFolder(tmp_path).close()
    assert (kept / "file").exists()
