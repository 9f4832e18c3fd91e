"""The machine's devices are found without PyTorch, which is asked only where there may be a GPU."""

import ctypes
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry import devices, store


def driver(devices_found: int, error: int = 0) -> SimpleNamespace:
    """Return a stand-in for NVIDIA's driver."""

    def count(pointer: Any) -> int:
        pointer._obj.value = devices_found
        return error

    return SimpleNamespace(cuInit=lambda _flags: error, cuDeviceGetCount=count)


@pytest.mark.parametrize(
    ("installed", "found"),
    [(None, False), (driver(0), False), (driver(2), True), (driver(2, error=100), False)],
)
def test_a_gpu_is_where_the_driver_counts_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: object, found: bool
) -> None:
    def load(_name: str) -> object:
        if installed is None:
            raise OSError("no such library")
        return installed

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(devices, "AMD_DRIVER", tmp_path / "absent")
    assert devices.may_have_gpu() is found


def test_without_a_gpu_the_device_is_the_cpu_and_pytorch_is_not_imported() -> None:
    code = """
import sys
from registry import devices
devices.may_have_gpu = lambda: False
assert devices.best_device() == "cpu"
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=store.PROJECT)


@pytest.mark.parametrize(
    ("cores", "allowed", "named", "used"),
    [
        (64, 64, "", 8),
        (4, 2, "", 2),
        (2, 4, "", 2),
        (4, 4, "1", 1),
        (4, 4, "6", 4),
        (4, 4, "4,2", 4),
    ],
)
def test_there_is_a_thread_for_each_core_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, cores: int, allowed: int, named: str, used: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", named)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: None if logical else cores)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(allowed)), raising=False)
    assert devices.threads() == used
