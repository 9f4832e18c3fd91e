"""The transfers that `self_check.py` measures, with their blendshapes: made once, then read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from reference_embeddings import LANDMARKER
from torch import Tensor

from registry import versions
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.check_transfers import CheckTransfers, draw_cases, make_transfers
from training.starters.files import GENERATOR_PREFIX, weights_digest

GENERATOR = "pix2pixhd@production"
SETS = ("lfw-emotion", "ferplus", "london")
STRENGTHS = (1.0, 0.75, 0.5, 0.25)


def make_pairs(
    shared: Path, sets: Mapping[str, Prepared], split: str, count: int, cache: Path
) -> CheckTransfers:
    """Return `count` transfers of a split, by pix2pixhd in production; made once, then read."""
    weights = versions.weights(GENERATOR)
    own = weights_digest({k: v for k, v in weights.items() if k.startswith(GENERATOR_PREFIX)})
    file, used = cache / f"{split}-{count}-{own[:12]}.npz", [sets[name] for name in SETS]
    cases = draw_cases(used, split, count)
    if not file.exists():
        model = versions.load(GENERATOR, "cpu", "onnxruntime")

        def generate(faces: Tensor, change: Tensor) -> Tensor:
            return model(faces, change)["picture"]

        made = make_transfers(
            cases, used, model.version.crop, generate, model.encode, STRENGTHS, shared / LANDMARKER
        )
        arrays = {f"faces {k}": v for k, v in made.faces.items()}
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, **arrays, **{f"shapes {k}": v for k, v in made.shapes.items()})
    with np.load(file) as stored:
        parts = {name: stored[name] for name in stored.files}
    return CheckTransfers(
        cases=cases,
        faces={k.removeprefix("faces "): v for k, v in parts.items() if k.startswith("faces ")},
        shapes={k.removeprefix("shapes "): v for k, v in parts.items() if k.startswith("shapes ")},
    )
