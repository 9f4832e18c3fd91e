"""How long a search by expression takes in LanceDB, and how long adding photos to an index.

    python benchmarks/search.py
    python benchmarks/search.py --faces 1000000

The vectors are drawn at random: as long as those of the shipped dln, one face a photo, so that
nothing but the index is measured. Every row is compared; there is no index of vectors. The first
search reads the files into the system's memory, and isn't counted.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from demo.photo_files import PhotoFile
from demo.search.index import PHOTOS_AT_ONCE, FolderIndex
from demo.search.matches import find_matches
from demo.search.tables import FileRow, Tables
from registry.catalog import EXPRESSION_DIMS
from registry.temporary import TemporaryFolder

IDENTITY_DIMS = 128
"""Length of the shipped dln's identity vectors."""
AT_ONCE = 10_000
COUNT = 12
REPEATS = 7


def main(faces: int) -> None:
    """Fill an index in a temporary folder, search it, and print the times."""
    rng = np.random.default_rng(0)
    with TemporaryFolder("expression-studio-benchmark-") as folder:
        os.environ["EXPRESSION_STUDIO_STORE"] = str(folder)
        index = FolderIndex(folder, (1, "benchmark"))
        tables = Tables(index.path, "dln-1-benchmark")
        for start in range(0, faces, AT_ONCE):
            add(tables, list(rows(rng, start, min(AT_ONCE, faces - start))))
        tables.compact()
        photos = [PhotoFile(folder / f"{number}.jpg") for number in range(faces)]
        report("open the index", index.read)
        report(f"compare with {faces:,} photos of the folder", partial(index.left, photos))
        face = next(rows(rng, faces, 1))
        for others in (False, True):
            find = partial(find_matches, index, face, count=COUNT, others_first=others)
            report(f"search{', others first' if others else ''}", find)
        more = list(rows(rng, faces, PHOTOS_AT_ONCE))
        report(f"add {PHOTOS_AT_ONCE} photos", partial(add, tables, more))
        size = sum(file.stat().st_size for file in index.path.rglob("*") if file.is_file())
        print(f"{size / 2**20:.0f} MiB on disk")


def add(tables: Tables, faces: Sequence[Mapping[str, Any]]) -> None:
    """Add faces and the photos that they are of."""
    tables.add_faces(faces)
    tables.add_files([FileRow(face["name"], 0, 0, face["digest"], True) for face in faces])


def rows(rng: np.random.Generator, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield random faces, each of a photo of its own."""
    pairs = zip(
        vectors(rng, count, EXPRESSION_DIMS), vectors(rng, count, IDENTITY_DIMS), strict=True
    )
    for number, (expression, identity) in enumerate(pairs, first):
        yield {
            "name": f"{number}.jpg",
            "digest": hashlib.sha256(str(number).encode()).hexdigest(),
            "face": 1,
            "box": [0.0, 0.0, 1.0, 1.0],
            "expression": expression,
            "identity": identity,
        }


def vectors(rng: np.random.Generator, count: int, dims: int) -> Float[np.ndarray, "count dims"]:
    """Return random vectors of unit length."""
    drawn = rng.normal(size=(count, dims)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def report(what: str, work: Callable[[], object]) -> None:
    """Print the median, the longest time and the CPU of a piece of work."""
    seconds, cpu = [], time.process_time()
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    spent = (time.process_time() - cpu) / REPEATS
    middle, longest = np.median(seconds), max(seconds)
    print(f"{what}: {1000 * middle:.0f} ms, longest {1000 * longest:.0f}, CPU {1000 * spent:.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=100_000)
    main(parser.parse_args().faces)
