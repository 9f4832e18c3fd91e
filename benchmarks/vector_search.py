"""How many faces can be searched by expression: time, memory, bytes and recall by their number.

    python benchmarks/vector_search.py
    python benchmarks/vector_search.py --faces 1000000 --drawn uniform

The vectors are generated: "clustered" are faces around 64 expressions on the unit sphere,
"uniform" are the worst case for an index. recall@10 is the share of the ten nearest by numpy's
comparison of all that are found. The last line says what MANY faces would need, computed from
the same run.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from demo.search.face_collection import FaceCollection
from registry.catalog import EXPRESSION_DIMS
from registry.temporary import TemporaryFolder

QUERIES = 200
COUNT = 10
MANY = 100_000_000
FACES_OF_A_PERSON = 50
EMOTIONS = ("neutral", "happy", "sad", "surprised", "afraid", "disgusted", "angry", "contempt")
SETS = ("a", "b", "c", "d")
DRAWN = ("clustered", "uniform")
HEAD = (
    "| vectors | faces | added s | built s | peak MiB | MiB on disk | search | recall@10 | "
    "p50 ms | p95 ms |\n|---|---|---|---|---|---|---|---|---|---|"
)
Vectors = Float[np.ndarray, "rows 16"]


def main(faces: list[int], drawn: list[str]) -> None:
    """Measure each size in a process of its own, so that the peaks of memory are its own."""
    print(HEAD)
    largest: dict[str, float] = {}
    for kind in drawn:
        for count in faces:
            command = [sys.executable, __file__, "--one", str(count), "--drawn", kind]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            *lines, measured = done.stdout.strip().splitlines()
            print("\n".join(lines), flush=True)
            largest = json.loads(measured)
    print(needs(MANY, largest))


def measure(count: int, kind: str) -> None:
    """Print the rows of one size, and what was measured as JSON."""
    vectors = draw(count, kind, seed=0)
    labels = label(count)
    with TemporaryFolder("expression-studio-benchmark-") as folder:
        write(folder / "faces.parquet", vectors, labels)
        before = peak_mib()
        collection = FaceCollection(folder / "index", indexed_from=2**62)
        added = seconds(lambda: collection.add(folder / "faces.parquet"))
        collection = FaceCollection(folder / "index")
        built = seconds(collection.refresh)
        peak = peak_mib() - before
        files = (file for file in (folder / "index").rglob("*") if file.is_file())
        size = sum(file.stat().st_size for file in files)
        start = (
            f"| {kind} | {count:,} | {added:.1f} | {built:.1f} | {peak:.0f} | {size / 2**20:.0f} "
        )
        for filters in ({}, {"person": "p7"}, {"emotion": "sad"}, {"set": "a"}):
            print(start + searched(collection, vectors, labels, filters, kind), flush=True)
            start = "| | | | | | "
    print(json.dumps({"faces": count, "s": added + built, "mib": peak, "bytes": size}))


def searched(
    collection: FaceCollection,
    vectors: Vectors,
    labels: Mapping[str, np.ndarray],
    filters: Mapping[str, str],
    kind: str,
) -> str:
    """Return the cells of one kind of search: recall and times."""
    allowed = np.ones(len(vectors), bool)
    for name, value in filters.items():
        allowed &= labels[name] == value
    rows = np.flatnonzero(allowed)
    among = vectors[rows]
    taken, shares = [], []
    queries = draw(QUERIES, kind, seed=7)
    collection.nearest(queries[0], COUNT, filters)
    for query in queries:
        started = time.perf_counter()
        found = collection.nearest(query, COUNT, filters)
        taken.append(1000 * (time.perf_counter() - started))
        distances = ((among - query) ** 2).sum(1)
        wanted = min(COUNT, len(rows))
        nearest = rows[np.argpartition(distances, wanted - 1)[:wanted]]
        shares.append(len({str(row) for row in nearest} & {face.file for face in found}) / wanted)
    what = ", ".join(filters) or "all"
    p50, p95 = np.percentile(taken, [50, 95])
    return f"| {what} | {np.mean(shares):.4f} | {p50:.1f} | {p95:.1f} |"


def needs(faces: int, measured: Mapping[str, float]) -> str:
    """Return what so many faces need, in proportion to what was measured of fewer.

    Bytes and the memory of the build grow with the rows; so do the hours to add them, those to
    build the index grow with rows times partitions, which are the rows' square root, at most.

    Args:
        faces: How many.
        measured: `faces`, `s` to add and build, `mib` of memory at most, `bytes` on disk.
    """
    ratio = faces / measured["faces"]
    gib = measured["bytes"] * ratio / 2**30
    memory = measured["mib"] * ratio / 2**10
    least, most = (measured["s"] * power / 3600 for power in (ratio, ratio**1.5))
    machines = int(np.ceil(memory / 64))
    return (
        f"\n{faces:,} faces, {ratio:,.0f} times {measured['faces']:,.0f}: {gib:,.0f} GiB on disk, "
        f"{memory:,.0f} GiB of memory to build in one piece (machines of 64 GiB: {machines}, a "
        f"part of the faces each), {least:,.1f} h on two cores in proportion, {most:,.0f} h where "
        "the index grows with rows to the power of 1.5."
    )


def draw(count: int, kind: str, seed: int) -> Vectors:
    """Return vectors of unit length."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, EXPRESSION_DIMS))
    if kind == "clustered":
        centres = np.random.default_rng(1).normal(size=(64, EXPRESSION_DIMS))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        spread = 0.09 * rng.gamma(2, 1, size=(count, 1))
        drawn = centres[rng.integers(0, len(centres), count)] + spread * drawn
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def label(count: int) -> dict[str, np.ndarray]:
    """Return a person, an emotion and a set for each face, at random."""
    rng = np.random.default_rng(2)
    persons = rng.integers(0, max(1, count // FACES_OF_A_PERSON), count)
    return {
        "person": np.char.add("p", persons.astype(str)),
        "emotion": np.array(EMOTIONS)[rng.integers(0, len(EMOTIONS), count)],
        "set": np.array(SETS)[rng.integers(0, len(SETS), count)],
    }


def write(path: Path, vectors: Vectors, labels: Mapping[str, np.ndarray]) -> None:
    """Write a table as `embed` does; a face's file is its row."""
    count = len(vectors)
    flat = pa.array(vectors.ravel())
    columns = {
        "file": pa.array(np.arange(count).astype(str)),
        "face": pa.array(np.ones(count, np.int64)),
        "expression": pa.FixedSizeListArray.from_arrays(flat, EXPRESSION_DIMS),
    }
    pq.write_table(pa.table(columns | {name: pa.array(row) for name, row in labels.items()}), path)


def seconds(work: object) -> float:
    """Return how long a function takes."""
    started = time.perf_counter()
    assert callable(work)
    work()
    return time.perf_counter() - started


def peak_mib() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--drawn", nargs="+", choices=DRAWN, default=["uniform", "clustered"])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given.one, given.drawn[0])
    else:
        main(given.faces, given.drawn)
