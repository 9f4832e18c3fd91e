"""How fast `embed --ray` is beside plain processes, and its memory as the table grows.

    python benchmarks/ray_embedding.py [--photos 400] [--rows 10000 100000 1000000] [--json FILE]

First, two workers of Ray beside two plain commands with half of the photos each, one thread each:
copies of the example photos, each of another size. What starting takes is left out: the rate is
that of the photos beyond the first FEW. Then tables of generated vectors: the same tasks of Ray,
the same way back, the same files, but no photo is read and no network computes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import rows
from embed import write_photos
from rows import Row

from demo.embedding_table import EmbeddingTable
from demo.photo_files import PhotoFile
from registry.ray_cluster import joined
from registry.ray_map import map_items

FEW, WORKERS, LEAST_RATIO = 48, 2, 0.85
EXPRESSION, IDENTITY = 16, 128
SAMPLE_SECONDS, MEGABYTE = 0.5, 2**20
Measured = dict[str, float]


def main(photos: int, sizes: Sequence[int], output: Path | None) -> None:
    """Measure, and print the table."""
    found = [throughput(photos)] if photos else []
    for size in sizes:
        found += growth(size)
    print(rows.table(found))
    if output:
        rows.write(output, found)


def throughput(count: int) -> Row:
    """Return the row of photos a second beside plain commands."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        few = write_photos(folder / "few", FEW)
        many = write_photos(folder / "many", count)
        rates = [
            (len(many) - len(few)) / (seconds(many) - seconds(few))
            for seconds in (_on_ray, _in_plain_processes)
        ]
    return Row(
        what=f"embed --ray, {WORKERS} workers of one thread, {count - FEW} photos",
        value=rates[0],
        unit="faces/s",
        beside=f"{WORKERS} plain commands of one thread",
        beside_value=rates[1],
        target=LEAST_RATIO,
        at_least=True,
    )


def _on_ray(photos: Sequence[Path]) -> float:
    command = _command(photos, "ray.parquet", "--ray", "--workers", str(WORKERS))
    return _seconds([command])


def _in_plain_processes(photos: Sequence[Path]) -> float:
    shares = [photos[number::WORKERS] for number in range(WORKERS)]
    return _seconds([_command(s, f"{n}.parquet", "--local") for n, s in enumerate(shares)])


def _command(photos: Sequence[Path], table: str, *options: str) -> list[str]:
    named = [str(photo) for photo in photos]
    output = photos[0].parent.parent / table
    return [sys.executable, "-m", "demo", "embed", *named, "-o", str(output), *options]


def _seconds(commands: Sequence[Sequence[str]]) -> float:
    """Return how long commands take that run side by side, with one thread each."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    running = [
        subprocess.Popen(c, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for c in commands
    ]
    codes = [each.wait() for each in running]
    assert not any(codes), codes
    return time.perf_counter() - started


def growth(size: int) -> list[Row]:
    """Return the rows about a table of so many generated vectors, made in a process of its own."""
    command = [sys.executable, __file__, "--generate", str(size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    what = f"{size:,} generated faces"
    return [
        Row(what=f"{what}, through Ray to the table", value=size / measured["s"], unit="faces/s"),
        Row(what=f"{what}, this process, highest", value=measured["own MB"], unit="MB"),
        Row(what=f"{what}, Ray's processes, highest", value=measured["Ray MB"], unit="MB"),
        Row(what=f"{what}, the finished table", value=measured["table MB"], unit="MB"),
    ]


def generate(size: int) -> Measured:
    """Write a table of generated vectors; return seconds and megabytes."""
    with tempfile.TemporaryDirectory() as folder, joined() as cluster:
        photos = [PhotoFile(Path(f"generated/{number:08}.jpg")) for number in range(size)]
        watched = _Memory()
        started = time.perf_counter()
        table = EmbeddingTable(Path(folder) / "faces.parquet", None)
        workers = cluster.workers(WORKERS, need_gpu=False)
        with table.opened():
            for position, faces in map_items(partial(_generator), photos, workers):
                table.add(photos[position], faces)
            written = table.finish(photos)
        seconds = time.perf_counter() - started
        highest = watched.stop()
        assert written == pq.read_metadata(table.output).num_rows == size
        table_bytes = table.output.stat().st_size
    return {"s": seconds, "table MB": table_bytes / MEGABYTE, **highest}


def _generator() -> Callable[[PhotoFile], list[dict[str, Any]]]:
    rng = np.random.default_rng()
    provenance = {"model": "dln", "version": 1, "run_id": "0" * 32, "device": "cpu"}
    kept = {"engine": "onnxruntime", "seconds": 0.05, "cached": False, "validated": True}

    def face(_photo: PhotoFile) -> list[dict[str, Any]]:
        vectors = {
            name: rng.standard_normal(width, np.float32).tolist()
            for name, width in (("expression", EXPRESSION), ("identity", IDENTITY))
        }
        return [{"face": 1, "box": [0.0, 0.0, 99.0, 99.0], **vectors, **provenance, **kept}]

    return face


class _Memory:
    """Watches the memory of this process and of those it started, until it is stopped."""

    def __init__(self) -> None:
        self._highest = {"own MB": 0.0, "Ray MB": 0.0}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> Measured:
        """Stop, and return the highest of all samples."""
        self._stopped.set()
        self._thread.join()
        return self._highest

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stopped.wait(SAMPLE_SECONDS):
            now = {
                "own MB": own.memory_info().rss / MEGABYTE,
                "Ray MB": sum(map(_megabytes, own.children(recursive=True))),
            }
            self._highest = {name: max(now[name], value) for name, value in self._highest.items()}


def _megabytes(process: psutil.Process) -> float:
    """Return a process's memory, its share of what it has in common with others."""
    try:
        return float(process.memory_full_info().pss) / MEGABYTE
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=400, help="0: leave that part out")
    parser.add_argument("--rows", type=int, nargs="*", default=[10**4, 10**5, 10**6])
    parser.add_argument("--generate", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    given = parser.parse_args()
    if given.generate:
        print(json.dumps(generate(given.generate)))
    else:
        main(given.photos, given.rows, given.json)
