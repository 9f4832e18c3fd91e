"""What `prepare` needs for a large set: peak memory, and pictures per second.

    python benchmarks/prepare_memory.py 200000

Prepares that many different random pictures of 24 px, with persons, votes and as many triplets of
six answers each, into a folder that is deleted afterwards. The pictures count as cropped already:
the search for faces takes the same time for each picture and is left out.
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
from training.datasets.source import PictureRecord, RawDataset

SIDE_PX = 24
ANNOTATORS, ANSWERS = 50, 6


@dataclass(frozen=True)
class Noise:
    """Random pictures, each by its number."""

    def read(self, member: str) -> bytes:
        """Return the picture as BMP."""
        rng, content = np.random.default_rng(int(member)), io.BytesIO()
        pixels = rng.integers(256, size=(SIDE_PX, SIDE_PX), dtype=np.uint8)
        Image.fromarray(pixels).save(content, "BMP")
        return content.getvalue()


def generate(count: int) -> RawDataset:
    """Return a set of `count` pictures and triplets."""
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
        PictureRecord(
            member=str(number),
            name=str(name),
            split="train",
            person=f"person{number // 10}",
            emotion=number % len(EMOTIONS),
            votes=(1,) * 10,
        )
        for number, name in enumerate(names)
    ]
    return RawDataset(
        source=Noise(), pictures=pictures, cropped_margin=0.4, triplets=triplets, answers=answers
    )


def main(count: int) -> None:
    """Prepare, open, and print what it took."""
    READERS["generated"] = lambda _: generate(count)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        prepare("generated", None, Path(folder) / "set")
        print(f"prepare        {count / (time.perf_counter() - start):8.0f} pictures/s")
        print(f"peak memory    {_peak_gib():8.2f} GiB")
        start = time.perf_counter()
        data = Prepared.open(Path(folder) / "set")
        print(f"opened         {len(data.index):8,} faces in {time.perf_counter() - start:.1f} s")
        print(f"peak then      {_peak_gib():8.2f} GiB")


def _peak_gib() -> float:
    """Return the largest resident size of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    main(parser.parse_args().count)
