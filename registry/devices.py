"""What this machine computes on; PyTorch, whose import takes seconds, is asked only if need be."""

import ctypes
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import psutil

MOST_THREADS = 8
"""More threads than these don't make the answer for one face faster."""
THREADS = "OMP_NUM_THREADS"
CUDA_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
AMD_DRIVER = Path("/dev/kfd")


def best_device() -> str:
    """Return cuda, mps or cpu: the fastest this machine has."""
    if not may_have_gpu():
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def may_have_gpu() -> bool:
    """Return whether there is a GPU that PyTorch may be able to use; it is not imported."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return AMD_DRIVER.exists() or _cuda_devices() > 0


def threads() -> int:
    """Return how many threads should compute one answer: a core each, at most MOST_THREADS.

    Where OMP_NUM_THREADS, which PyTorch obeys, names fewer, it holds for every engine.
    """
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    named = os.environ.get(THREADS, "")
    wanted = int(named) if named.isdecimal() else MOST_THREADS
    return max(1, min(cores, allowed, wanted, MOST_THREADS))


def _cuda_devices() -> int:
    """Return the number of NVIDIA's GPUs that this process may use, as their driver counts them."""
    for name in CUDA_LIBRARIES:
        with suppress(OSError):
            driver, count = ctypes.CDLL(name), ctypes.c_int()
            if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
                return count.value
    return 0
