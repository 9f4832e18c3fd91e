"""How fast versions answer, beside a plain ONNX Runtime session on the same file.

    python benchmarks/serving.py [--json FILE]

The versions in production answer batches of random faces on one and two cores, alternating with a
session that has ONNX Runtime's own settings but for the number of threads. Then the same beside
two processes that compute without end, against itself alone.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rows
from rows import Row

from registry import entries, versions
from registry.catalog import DLN, EMOTION, PIX2PIXHD
from registry.graphs import file_names
from registry.onnx_runtime import onnx_runtime

BATCHES, CORES, BUSY = (1, 32), (1, 2), 2
ROUNDS = {1: 25, 32: 4}
MODELS = (DLN.name, EMOTION.name, PIX2PIXHD.name)
Ask = Callable[[], object]


def main(output: Path | None) -> None:
    """Measure each number of cores in a process of its own, and print the table."""
    measured: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for cores in CORES:
            file = Path(folder) / f"{cores}.json"
            command = [sys.executable, __file__, "--cores", str(cores), "--json", str(file)]
            subprocess.run(command, check=True)
            measured += rows.read(file)
    print(rows.table(measured))
    if output:
        rows.write(output, measured)


def measure(cores: int) -> Iterator[Row]:
    """Yield the rows of each model, computed on so many cores."""
    rows.use_cores(cores)
    for name in MODELS:
        for batch in BATCHES:
            where = f"batch {batch}, {cores} core{'s' * (cores > 1)}"
            version, session = _calls(name, batch, cores)
            ours, plain = rows.in_turn([version, session], ROUNDS[batch])
            yield Row(
                what=f"{name}, {where}",
                value=1000 * ours,
                unit="ms",
                beside="plain session",
                beside_value=1000 * plain,
                target=1.1,
            )
        yield from _beside_others(name, cores)


def _beside_others(name: str, cores: int) -> Iterator[Row]:
    version, session = _calls(name, 1, cores)
    alone, session_alone = rows.in_turn([version, session], ROUNDS[1])
    with _busy_processes():
        busy, session_busy = rows.in_turn([version, session], ROUNDS[1])
    where = f"batch 1, {cores} core{'s' * (cores > 1)}, {BUSY} busy processes beside"
    for what, value, against, target in (
        (name, busy, alone, 3.0),
        (f"plain session of {name}", session_busy, session_alone, None),
    ):
        yield Row(
            what=f"{what}, {where}",
            value=1000 * value,
            unit="ms",
            beside="itself alone",
            beside_value=1000 * against,
            target=target,
        )


def _calls(name: str, batch: int, cores: int) -> tuple[Ask, Ask]:
    """Return two calls: the version in production answers, and a plain session on its file."""
    model = versions.load(name)
    inputs = _inputs(model.version, batch)
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = cores
    with entries.files(model.version) as folder:
        content = (folder / file_names.ONNX_GRAPH).read_bytes()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    named = {wanted.name: x for wanted, x in zip(session.get_inputs(), inputs, strict=True)}
    return (lambda: model(*inputs)), (lambda: session.run(None, named))


def _inputs(version: Any, batch: int) -> list[np.ndarray]:
    rng, side = np.random.default_rng(0), version.crop.size_px
    faces = rng.random((batch, 3, side, side), np.float32)
    change = rng.standard_normal((batch, version.condition), np.float32) / 4
    return [faces, change] if version.condition else [faces]


@contextmanager
def _busy_processes() -> Iterator[None]:
    """Let other processes compute without end on the cores of this one."""
    context = multiprocessing.get_context("spawn")
    cores = os.sched_getaffinity(0)
    processes = [context.Process(target=_compute, args=(cores,), daemon=True) for _ in range(BUSY)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _compute(cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)
    while True:
        sum(range(100_000))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cores:
        rows.write(given.json, list(measure(given.cores)))
    else:
        main(given.json)
