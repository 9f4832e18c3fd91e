"""How much of a face's shapes the DLN's vectors hold: the expression alone, or the deviation.

    python benchmarks/condition.py ../shared/data data/london data/lfw-emotion data/ferplus

Ridge regression from the vectors of dln in production to shapes that MediaPipe measures: R2 of ten
folds; no fit learns from the person it predicts, if persons are known. Faces of the training split,
each emotion in proportion to the square root of its number. Prints a Markdown table: what a
generator could learn at best from each vector, by a linear fit.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image
from reference_embeddings import LANDMARKER
from rich.progress import track
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from registry import versions
from registry.landmarks import blendshapes
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs

FACES = 800
"""Most faces taken from each set."""
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
"""Indices of MediaPipe's 52 blendshapes; left and right are averaged."""
VECTORS = ("expression", "deviation")


def table(shared: Path, sets: list[Prepared]) -> list[str]:
    """Return the lines of the table."""
    scores = [measure(shared, data) for data in sets]
    heads = [f"{data.name}, {vector}" for data in sets for vector in VECTORS]
    lines = [f"| R2 of | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for shape in SHAPES:
        cells = [f"{each[vector, shape]:.2f}" for each in scores for vector in VECTORS]
        lines.append(f"| {shape} | {' | '.join(cells)} |")
    return lines


def measure(shared: Path, data: Prepared) -> Mapping[tuple[str, str], float]:
    """Return R2 by vector and shape."""
    version = versions.resolve("dln@production")
    rows = draw_faces(data)
    vectors = outputs(GraphModule(versions.load(version)), data, rows, version.crop)
    shapes = np.full((len(rows), 52), np.nan)
    with blendshapes(shared / LANDMARKER) as measure_face:
        for i in track(range(len(rows)), description=f"Blendshapes of {data.name}"):
            with Image.open(data.folder / data.index["path"][rows[i]]) as crop:
                shapes[i] = measure_face(crop)
    found = ~np.isnan(shapes).any(1)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    index = data.index.iloc[rows[found]]
    persons = index["person"].fillna(index["name"])
    line = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    scores = {}
    for shape, indices in SHAPES.items():
        truth = shapes[found][:, indices].mean(1)
        for vector in VECTORS:
            given = vectors[vector][found]
            predicted = cross_val_predict(line, given, truth, cv=folds, groups=persons)
            scores[vector, shape] = float(r2_score(truth, predicted))
    return scores


def draw_faces(data: Prepared) -> Int[np.ndarray, "faces"]:
    """Return up to FACES rows of training faces, rare emotions more often than they are."""
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
