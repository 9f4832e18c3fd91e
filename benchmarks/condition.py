"""What of a face can be read from the DLN's vectors: the expression alone, or its deviation.

    python benchmarks/condition.py ../shared/data data/london data/lfw-emotion data/ferplus

Ridge regression from what dln in production says of a face to shapes that MediaPipe measures in it:
R2 of ten folds, each face foretold by a fit that did not see its person, where persons are known.
Faces of the training split, every emotion as often as the root of its count says. Prints a Markdown
table: what a generator that is asked by each vector could know at best, as far as a line can tell.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image
from reference_embeddings import LANDMARKER, blendshapes
from rich.progress import track
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from registry import versions
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs

FACES = 800
"""Of each set at most."""
FOLDS = 10
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
SHAPES = {
    "jaw open": (25,),
    "smile": (44, 45),
    "upper lip raised": (48, 49),
    "lower lip down": (34, 35),
    "brows raised inside": (3,),
    "brows lowered": (1, 2),
    "eyes squinted": (19, 20),
    "eyes closed": (9, 10),
}
"""Places among MediaPipe's 52 blendshapes; left and right are averaged."""
VECTORS = ("expression", "deviation")


def table(shared: Path, sets: list[Prepared]) -> list[str]:
    """Return the lines of the table."""
    said = [read(shared, data) for data in sets]
    heads = [f"{data.name}, {vector}" for data in sets for vector in VECTORS]
    lines = [f"| R2 of | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for shape in SHAPES:
        cells = [f"{each[vector, shape]:.2f}" for each in said for vector in VECTORS]
        lines.append(f"| {shape} | {' | '.join(cells)} |")
    return lines


def read(shared: Path, data: Prepared) -> Mapping[tuple[str, str], float]:
    """Return R2 by vector and shape."""
    version = versions.resolve("dln@production")
    rows = drawn(data)
    seen = outputs(GraphModule(versions.load(version)), data, rows, version.crop)
    shapes = np.full((len(rows), 52), np.nan)
    with blendshapes(shared / LANDMARKER) as look:
        for i in track(range(len(rows)), description=f"Blendshapes of {data.name}"):
            with Image.open(data.folder / data.index["path"][rows[i]]) as crop:
                shapes[i] = look(crop)
    found = ~np.isnan(shapes).any(1)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    index = data.index.iloc[rows[found]]
    persons = index["person"].fillna(index["name"])
    line = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    told = {}
    for shape, places in SHAPES.items():
        truth = shapes[found][:, places].mean(1)
        for vector in VECTORS:
            foretold = cross_val_predict(line, seen[vector][found], truth, cv=folds, groups=persons)
            told[vector, shape] = float(r2_score(truth, foretold))
    return told


def drawn(data: Prepared) -> Int[np.ndarray, "faces"]:
    """Return the rows of some training faces, rare emotions more often."""
    rows = data.split("train")
    emotion = data.index["emotion"].fillna(-1).iloc[rows]
    weight = 1 / np.sqrt(emotion.groupby(emotion).transform("size").to_numpy(dtype=float))
    rng, size = np.random.default_rng(0), min(FACES, len(rows))
    return np.sort(rng.choice(rows, size, replace=False, p=weight / weight.sum()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with weights/")
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets")
    arguments = parser.parse_args()
    print("\n".join(table(arguments.shared, [Prepared.open(f) for f in arguments.folders])))
