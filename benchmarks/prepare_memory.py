"""What `prepare` needs for a large set: memory at its most, and pictures per second.

    python benchmarks/prepare_memory.py 200000

Prepares so many generated pictures of 24 px, each its own, with persons, votes and as many triplets
with six answers each, into a folder that is deleted afterwards. The pictures count as cropped
already, so the search for faces, which is as slow for the first as for the last, is left out.
"""

import argparse
import io
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from registry.catalog import EMOTIONS
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared
from training.datasets.source import Picture, Reading

SIDE_PX = 24
ANNOTATORS, ANSWERS = 50, 6


@dataclass(frozen=True)
class Noise:
    """Pictures of noise by their numbers."""

    def read(self, member: str) -> bytes:
        """Return the picture as BMP."""
        rng, content = np.random.default_rng(int(member)), io.BytesIO()
        pixels = rng.integers(256, size=(SIDE_PX, SIDE_PX), dtype=np.uint8)
        Image.fromarray(pixels).save(content, "BMP")
        return content.getvalue()


def generated(count: int) -> Reading:
    """Return a set of so many pictures and triplets."""
    rng = np.random.default_rng(0)
    names = np.array([f"picture{number:07d}" for number in range(count)])
    faces = names[rng.integers(count, size=(count, 3))]
    triplets = pd.DataFrame(faces, columns=["name_1", "name_2", "name_3"]).assign(
        type="ONE_CLASS_TRIPLET", annotator=None, answer=rng.integers(1, 4, count), split="train"
    )
    answers = pd.DataFrame(
        {
            "triplet": np.repeat(np.arange(count), ANSWERS),
            "annotator": rng.integers(ANNOTATORS, size=count * ANSWERS).astype(str),
            "answer": rng.integers(1, 4, count * ANSWERS),
        }
    ).astype({"annotator": "category"})
    pictures = [
        Picture(
            member=str(number),
            name=str(name),
            split="train",
            person=f"person{number // 10}",
            emotion=number % len(EMOTIONS),
            votes=(1,) * 10,
        )
        for number, name in enumerate(names)
    ]
    return Reading(
        source=Noise(), pictures=pictures, framing=0.4, triplets=triplets, answers=answers
    )


def main(count: int) -> None:
    """Prepare, open, and print what it took."""
    READERS["generated"] = lambda _: generated(count)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        prepare("generated", None, Path(folder) / "set")
        print(f"prepare        {count / (time.perf_counter() - began):8.0f} pictures/s")
        print(f"at its most    {_most():8.2f} GiB")
        began = time.perf_counter()
        data = Prepared.open(Path(folder) / "set")
        print(f"opened         {len(data.index):8,} faces in {time.perf_counter() - began:.1f} s")
        print(f"with that      {_most():8.2f} GiB")


def _most() -> float:
    """Return the largest resident size of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    main(parser.parse_args().count)
