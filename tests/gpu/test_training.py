"""Every recipe trains on the GPU, and no step waits for it."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from tests.gpu.conftest import reason

if reason():
    pytest.skip(reason(), allow_module_level=True)

import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.gpu.trainings import endless, training
from training.engine.loop import Loop
from training.recipes import RECIPES

SMOKE = [name for name in RECIPES if name.endswith("-smoke")]
PAPER = {"dln": 3000, "emotion": 0, "fecnet": 0, "pix2pixhd": 12}
"""The paper's networks, and how many faces (pictures) a second an H100 should train."""
SPEED = {**PAPER, "dln-compact": 20_000}
WARM, TIMED = 4, 10


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@contextmanager
def no_wait() -> Iterator[None]:
    """Raise where the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", SMOKE)
def test_a_smoke_recipe_trains_without_waiting_for_the_gpu(name: str, runs: Path) -> None:
    loop = training(name, runs, compile="no")
    batches = endless(loop)
    for _ in range(3):
        loop.step(next(batches))
    batch = next(batches)
    torch.cuda.synchronize()
    with no_wait():
        loop.step(batch)
    losses = [float(value) for values in loop.recent.values() for value in values]
    assert losses
    assert all(map(math.isfinite, losses))
    assert loop.precision == ("bf16" if torch.cuda.is_bf16_supported(False) else "no")


@pytest.mark.parametrize("name", SPEED)
def test_a_network_trains_ten_steps_at_its_size(
    name: str, runs: Path, peak: float, rows: list[Sequence[str]]
) -> None:
    torch.cuda.reset_peak_memory_stats()
    size = {"dln": 64}.get(name, RECIPES[name].batch_size)
    timed = name in ("dln", "dln-compact", "pix2pixhd")
    loop = training(name, runs, batch_size=size, compile="auto" if timed else "no")
    batches = cycle([*loop.loader])  # an epoch of drawn faces has few steps
    for _ in range(WARM):
        loop.step(next(batches))
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(TIMED):
        loop.step(next(batches))
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / TIMED
    memory = torch.cuda.max_memory_allocated()
    share = flops(loop) / seconds / peak
    assert loop.progress.step == WARM + TIMED
    assert all(math.isfinite(metric.value) for metric in loop.progress.pending)
    target = f"{SPEED[name]:,}" if SPEED[name] else ""
    compiled = "compiled" if loop.compilation.active else "eager"
    rows.append(
        (
            f"{name} {RECIPES[name].size_px} px, batch {size}, {loop.precision}, {compiled}",  # type: ignore[attr-defined]
            f"{1 / seconds:.1f}",
            f"{size / seconds:,.0f}",
            target,
            f"{share:.1%}",
            f"{memory / 1e9:.1f} GB",
        )
    )


@pytest.fixture(scope="module")
def peak() -> float:
    """Return the card's rate of matrix products in bf16, in operations a second, measured."""
    side = 8192
    one, other = torch.randn(2, side, side, device="cuda", dtype=torch.bfloat16)
    for _ in range(3):
        one @ other
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(10):
        one @ other
    torch.cuda.synchronize()
    return 10 * 2 * side**3 / (time.perf_counter() - began)


def flops(loop: Loop) -> int:
    """Return the operations of one step, forward and backward, without compilation."""
    batch = next(endless(loop))
    with loop.compilation.paused(), FlopCounterMode(display=False) as counter:
        loop.step(batch)
    return counter.get_total_flops()
