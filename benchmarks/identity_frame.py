"""Where MobileFaceNet should look: verification by the margin and height of its input.

    python benchmarks/identity_frame.py data/lfw-emotion

Verification AUC of the shipped network on the set's validation persons, by the margin of the square
that it gets and by how far that lies above the middle of the bare face's square, in its sides.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.table import Table

from registry.crops import CropSpec
from training.datasets.prepared import Prepared
from training.metrics.verification import verification_auc
from training.models.backbones.mobilefacenet import FRAME_PX, SIZE_PX, MobileFaceNet
from training.starters import files

MARGINS = (0.0, 0.08, 0.153, 0.25)
HEIGHTS = (0.0, 0.041, 0.082, 0.123)
WIDE = CropSpec(size_px=224, margin=0.4)
BATCH = 128


def main(folder: Path) -> None:
    """Measure and print the table."""
    data = Prepared.open(folder)
    rows, faces = data.split("validation"), data.faces(WIDE)
    network = MobileFaceNet().eval()
    network.load_state_dict(files.Starter.open(files.MOBILEFACENET).weights())
    table = Table("margin", *(f"{height:g} higher" for height in HEIGHTS), title=data.name)
    for margin in MARGINS:
        cells = []
        for height in HEIGHTS:
            windows = (_window(faces[row], margin, height) for row in rows)
            vectors = np.concatenate(list(_vectors(network, windows)))
            cells.append(f"{verification_auc(vectors, data, rows) or np.nan:.3f}")
        table.add_row(f"{margin:g}", *cells)
    Console(file=sys.stdout).print(table)


def _window(face: np.ndarray, margin: float, height: float) -> Float[np.ndarray, "112 112 3"]:
    bare, middle = WIDE.size_px / (1 + WIDE.margin), WIDE.size_px / 2
    half, up = bare * (1 + margin) / 2, bare * height
    box = (middle - half, max(middle - up - half, 0), middle + half, middle - up + half)
    cut = Image.fromarray(face).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, box=box)
    return np.asarray(cut, np.float32) / 255


def _vectors(
    network: MobileFaceNet, windows: Iterator[np.ndarray]
) -> Iterator[Float[np.ndarray, "batch 128"]]:
    """Yield vectors; the windows are put where the network cuts its input from."""
    left = (FRAME_PX - SIZE_PX) // 2
    while batch := list(islice(windows, BATCH)):
        crops = np.zeros((len(batch), FRAME_PX, FRAME_PX, 3), np.float32)
        crops[:, :SIZE_PX, left : left + SIZE_PX] = batch
        with torch.inference_mode():
            yield network(torch.from_numpy(crops).permute(0, 3, 1, 2)).numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="prepared set that knows persons")
    main(parser.parse_args().data)
