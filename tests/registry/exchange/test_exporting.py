"""An export is there when it is whole, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry import entries, versions
from registry.errors import BadExport, BadVersion, Unreachable
from registry.exchange import checksums, exporting
from tests.registry.exchange.conftest import Copy

KILLED = """
import os, signal, sys
from pathlib import Path
from registry import versions
from registry.exchange import exporting
exporting.readme.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
exporting.export(versions.resolve("dln/1"), Path(sys.argv[1]))
"""


@pytest.fixture
def dln(exports: Path, monkeypatch: pytest.MonkeyPatch) -> versions.Version:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(exports / "store"))
    return versions.resolve("dln/1")


def test_no_file_names_this_machine_and_sha256sum_agrees(exports: Path, copy: Copy) -> None:
    folder = copy("pix2pixhd")
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    for path in folder.rglob("*"):
        assert path.is_dir() or str(exports).encode() not in path.read_bytes(), path


def test_nothing_that_is_there_is_overwritten(dln: versions.Version, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "empty").mkdir()
    for name, sentence in {
        "file": "no folder",
        "full": "holds something",
        "absent/out": "make it first",
    }.items():
        with pytest.raises(BadExport, match=sentence):
            exporting.export(dln, tmp_path / name)
    exporting.export(dln, tmp_path / "empty")
    assert (tmp_path / "empty" / "README.md").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full"]


def test_a_killed_or_failed_export_leaves_no_folder(
    dln: versions.Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(out)]
    assert subprocess.run(command, env=os.environ, check=False).returncode == -9
    assert not out.exists()

    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checksums, "write", fail)
        with pytest.raises(Unreachable, match=r"No space left on device.*was not written"):
            exporting.export(dln, out)
    assert list(tmp_path.iterdir()) == []


def test_a_version_without_an_onnx_graph_is_refused_with_the_command_that_helps(
    dln: versions.Version, tmp_path: Path
) -> None:
    with entries.files(dln) as folder:
        graph = folder / "extra_files" / "model.onnx"
        graph.rename(tmp_path / "kept")
        try:
            with pytest.raises(BadVersion, match=r"has no .*model.onnx: .*training reexport dln/1"):
                exporting.export(dln, tmp_path / "out")
        finally:
            (tmp_path / "kept").rename(graph)
