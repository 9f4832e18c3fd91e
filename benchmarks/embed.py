"""How fast `python -m demo embed` is, beside what it can't do without: detector and network.

    python benchmarks/embed.py [--photos 1000] [--json FILE]

The photos are copies of the example photos, each of another size, as JPEG. First the command runs,
from its start to the finished table. Then, in this process, the same photos, decoded before, are
detected one after the other, and their faces embedded in batches of 16.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import rows
from PIL import Image
from rich.progress import track
from rows import Row

from registry import versions
from registry.catalog import DLN
from registry.crops import to_array
from registry.faces import FaceCropper
from registry.photos import read_photo

EXAMPLES = sorted((Path(__file__).parents[1] / "demo" / "examples").glob("*.jpg"))
SMALLEST_PX, LARGEST_PX, BATCH = 300, 900, 16


def main(count: int, output: Path | None) -> None:
    """Measure both, and print the row."""
    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder) / "photos", count)
        faces, seconds = embed(photos[0].parent, Path(folder) / "faces.parquet")
        alone, seconds_alone = detect_and_embed(photos)
    assert faces == alone, f"{faces} faces by the command, {alone} here"
    row = Row(
        what=f"embed, {count} photos of {SMALLEST_PX} to {LARGEST_PX} px, {faces} faces",
        value=faces / seconds,
        unit="faces/s",
        beside="detector and network alone",
        beside_value=alone / seconds_alone,
        target=0.8,
        at_least=True,
    )
    print(rows.table([row]))
    if output:
        rows.write(output, [row])


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write photos into a new folder, and return them."""
    folder.mkdir()
    examples = [Image.open(path).convert("RGB") for path in EXAMPLES]
    sides = np.linspace(SMALLEST_PX, LARGEST_PX, count).astype(int).tolist()
    files = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, (file, side) in enumerate(zip(files, sides, strict=True)):
        examples[number % len(examples)].resize((side, side)).save(file, quality=92)
    return files


def embed(folder: Path, table: Path) -> tuple[int, float]:
    """Run the command; return the number of faces and the seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "demo", "embed", str(folder), "-o", str(table), "--local"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return pq.read_metadata(table).num_rows, time.perf_counter() - started


def detect_and_embed(photos: Sequence[Path]) -> tuple[int, float]:
    """Return the number of faces and the seconds, without reading and writing."""
    cropper, model = FaceCropper(), versions.load(DLN.name)
    decoded = [read_photo(path) for path in photos]
    cropper.faces(decoded[0])
    started = time.perf_counter()
    crops = [
        cropper.crop(photo, face, model.version.crop).pixels
        for photo in track(decoded, "detector", transient=True)
        for face in cropper.faces(photo)
    ]
    for start in range(0, len(crops), BATCH):
        model(to_array(crops[start : start + BATCH]))
    return len(crops), time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    given = parser.parse_args()
    main(given.photos, given.json)
