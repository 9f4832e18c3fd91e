"""The machine on which a benchmark ran: its processor, and how fast it multiplies matrices."""

import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""The instructions that decide how fast networks are."""
SIDE, ROUNDS = 2048, 7
LIMITED_BY = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")
"""Variables that take instructions away from torch; ONNX Runtime and NumPy don't read them."""


def describe() -> str:
    """Return a Markdown list: processor, cores, instructions, and the rate of a matrix product."""
    return "\n".join(f"- {line}" for line in _lines())


def _lines() -> Iterator[str]:
    name, flags = _processor()
    yield f"Processor: {name}, {len(os.sched_getaffinity(0))} cores"
    yield f"Instructions: {', '.join(flag for flag in FLAGS if flag in flags) or 'unknown'}"
    taken = [f"{name}={os.environ[name]}" for name in LIMITED_BY if name in os.environ]
    if taken:
        yield f"Limited by {' and '.join(taken)}, which torch obeys and ONNX Runtime does not"
    yield f"Product of two {SIDE} x {SIDE} matrices, float32, NumPy: {_gflops():,.0f} GFLOP/s"


def _processor() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    name = re.search(r"^model name\s*: (.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.M)
    return (
        name[1] if name else platform.processor() or platform.machine(),
        set(flags[1].split()) if flags else set(),
    )


def _gflops() -> float:
    matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    shortest = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        matrix @ matrix
        shortest = min(shortest, time.perf_counter() - started)
    return 2e-9 * SIDE**3 / shortest
