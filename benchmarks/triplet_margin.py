"""How often a triplet's answer is what people voted, by its margin: where CLOSE_BELOW comes from.

    python benchmarks/triplet_margin.py data/ferplus

The margin is the second smallest of the three distances minus the smallest. Each row holds the
fixed triplets of one step of margins: their share of all, and the share that people's votes agree
with. The last lines name the margin below which the answers are right as often as TARGET at most,
found on the validation triplets, and how often answers below and above it are right on the test.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table

from registry import versions
from training.datasets import fixed_triplets
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs
from training.metrics import triplet_accuracy

TARGET = 0.75
"""Share of right answers that an answer without a warning should have."""
STEP = 0.02
STEPS = 15
Vector = Float[np.ndarray, "triplets"]
Outcomes = Bool[np.ndarray, "triplets"]


def main(folder: Path, reference: str) -> None:
    """Measure the validation and the test triplets and print the table."""
    data = Prepared.open(folder)
    model = versions.load(reference, "cpu")
    measured = {split: margins(model, data, split) for split in ("validation", "test")}
    table = Table(
        "margin", *(f"{split}: {name}" for split in measured for name in ("all", "right"))
    )
    for step in range(STEPS):
        low, high = STEP * step, STEP * (step + 1) if step < STEPS - 1 else np.inf
        cells = [cell for each in measured.values() for cell in _cells(*each, low, high)]
        table.add_row(f"{low:.2f} to {high:.2f}", *cells)
    console = Console(file=sys.stdout, width=100)
    console.print(table)
    limit = close_below(*measured["validation"])
    margin, right = measured["test"]
    close = margin < limit
    console.print(f"{TARGET:.0%} of the validation triplets are right at a margin of {limit:.2f}.")
    console.print(
        f"Test: {close.mean():.1%} are below it, of which {right[close].mean():.1%} are right; "
        f"of the others {right[~close].mean():.1%}."
    )


def margins(model: versions.ProductionModel, data: Prepared, split: str) -> tuple[Vector, Outcomes]:
    """Return each fixed triplet's margin, and whether the votes agree with its answer."""
    triplets, faces = fixed_triplets.answered(data, split)
    rows = np.unique(faces)
    found = outputs(GraphModule(model), data, rows, model.version.crop, label=split)["expression"]
    vectors = np.zeros((len(data.index), found.shape[1]), dtype=np.float32)
    vectors[rows] = found
    pairs = [faces[:, [0, 1]], faces[:, [0, 2]], faces[:, [1, 2]]]
    distances = [np.linalg.norm(vectors[a] - vectors[b], axis=1) for a, b in (p.T for p in pairs)]
    first, second, _ = np.sort(distances, axis=0)
    odd = triplets["answer"].to_numpy(dtype=np.int64)
    return second - first, triplet_accuracy.outcomes(vectors, faces, odd)


def close_below(margin: Vector, right: Outcomes) -> float:
    """Return the margin around which TARGET of the answers are right.

    The share is that of the 2,000 triplets of nearest margin, so that it changes smoothly.
    """
    order, window = np.argsort(margin), 2000
    sums = np.cumsum(np.insert(right[order].astype(np.float64), 0, 0.0))
    shares = (sums[window:] - sums[:-window]) / window
    reached = int(np.argmax(shares >= TARGET))
    return float(margin[order][reached + window // 2])


def _cells(margin: Vector, right: Outcomes, low: float, high: float) -> tuple[str, str]:
    chosen = (margin >= low) & (margin < high)
    return f"{chosen.mean():.1%}", f"{right[chosen].mean():.1%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the prepared ferplus")
    parser.add_argument("--version", default="dln@production")
    arguments = parser.parse_args()
    main(arguments.data, arguments.version)
