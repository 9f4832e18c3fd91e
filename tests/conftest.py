"""What all tests share: where the shared data lies, and a store of their own."""

import functools
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from registry.store import connect


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real faces, or skip where it isn't available."""
    folder = os.environ.get("EXPRESSION_STUDIO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the shared data: set EXPRESSION_STUDIO_DATA to its folder")
    return Path(folder)


_held: list[socket.socket] = []
"""Sockets that are bound and don't listen, so that a port is given to no other test and program."""


def unused_port() -> int:
    """Return a port of this machine that nobody listens at, and that no other call returns.

    A server may listen there, as it may share an address with a socket that doesn't (SO_REUSEADDR).
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return int(held.getsockname()[1])


@pytest.fixture(scope="session")
def examples() -> Path:
    """Return the folder of synthetic people that the demo ships."""
    return Path(__file__).parent.parent / "demo" / "examples"


@pytest.fixture(scope="session")
def operators() -> Iterator[None]:
    """Let the ONNX exporter read the source of its operators once, not at every export.

    It is half of the time in which a small network is registered.
    """
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        read_once = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
        patch.setattr(ONNXRegistry, "from_torchlib", read_once)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of all test processes of this run; who writes into it holds a lock."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def drawn(shared: Path) -> Path:
    """Return the drawn faces, prepared once for all test processes: that takes seconds.

    Tests that write into the folder, or into the one around it, take a copy.
    """
    from training.datasets.prepare import prepare

    folder = shared / "drawn" / "toy"
    with FileLock(shared / "drawn.lock"):
        if not (shared / "drawn" / "whole").exists():
            prepare("toy", None, folder)
            (shared / "drawn" / "whole").touch()
    return folder


@pytest.fixture(scope="session")
def migrated(operators: None, shared: Path) -> Path:
    """Return an empty database, migrated once for all test processes: that takes seconds."""
    assert operators is None
    with FileLock(shared / "migrated.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRESSION_STUDIO_STORE", str(shared / "migrated"))
        connect(create=True)
    return shared / "migrated" / "mlflow.db"


@pytest.fixture(scope="session")
def store(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Use a store of this test process alone, shared by its tests."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(migrated, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
        yield folder


@pytest.fixture
def fresh_store(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty store for this test alone."""
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(migrated, folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
    return folder
