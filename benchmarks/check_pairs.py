"""The transfers that `self_check.py` measures: made once for each split, with their blendshapes.

Sources are real photos (lfw-emotion, one of each person, and london). Drivers are other people's
photos of lfw-emotion, ferplus and london, as many of each emotion: so most sources are neutral or
happy, as visitors' are, and all expressions are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from reference_embeddings import LANDMARKER, blendshapes
from rich.console import Console
from rich.progress import track

from registry import versions
from registry.catalog import EMOTIONS
from registry.crops import CropSpec, to_tensor
from registry.versions import ProductionModel
from training.datasets.prepared import Prepared

GENERATOR = "pix2pixhd@production"
SOURCES, DRIVERS = ("lfw-emotion", "london"), ("lfw-emotion", "ferplus", "london")
STRENGTHS = (1.0, 0.75, 0.5, 0.25)
console = Console(stderr=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckPairs:
    """Transfers of one split, and what the referee (MediaPipe's blendshapes) finds in each face."""

    cases: pd.DataFrame
    """Sets, rows, persons and emotions of `source` and `driver`; a row a transfer."""
    faces: Mapping[str, UInt8[np.ndarray, "transfers size size 3"]]
    """`source`, `driver`, and the results by strength, such as `result 0.5`."""
    masks: Float[np.ndarray, "transfers"]
    """Mean of the generator's mask at strength 1."""
    shapes: Mapping[str, Float[np.ndarray, "transfers 52"]]
    """Blendshapes of each of `faces`; NaN where the referee finds no landmarks."""


def make_pairs(
    shared: Path, sets: Mapping[str, Prepared], split: str, count: int, cache: Path
) -> CheckPairs:
    """Return `count` transfers of a split, by pix2pixhd in production; made once, then read."""
    file = cache / f"{split}-{count}.npz"
    model = versions.load(GENERATOR, "cpu", "onnxruntime")
    cases = draw_cases(sets, split, count)
    if not file.exists():
        faces = _faces(cases, sets, model.version.crop)
        results, masks = _results(model, faces["source"], faces["driver"])
        faces |= results
        shapes = {name: measure_shapes(shared, each, name) for name, each in faces.items()}
        arrays = {f"faces {k}": v for k, v in faces.items()}
        arrays |= {f"shapes {k}": v for k, v in shapes.items()}
        np.savez(file, masks=masks, **arrays)
    with np.load(file) as stored:
        parts = {name: stored[name] for name in stored.files}
    return CheckPairs(
        cases=cases,
        masks=parts["masks"],
        faces={k.removeprefix("faces "): v for k, v in parts.items() if k.startswith("faces ")},
        shapes={k.removeprefix("shapes "): v for k, v in parts.items() if k.startswith("shapes ")},
    )


def draw_cases(sets: Mapping[str, Prepared], split: str, count: int) -> pd.DataFrame:
    """Return the sources and drivers of a split's transfers, the same at every call."""
    rng = np.random.default_rng(0)
    sources = pd.concat([_photos(sets[name], split) for name in SOURCES], ignore_index=True)
    sources = sources.sample(frac=1, random_state=0)
    by_person = sources.groupby("person", sort=False).cumcount()
    sources = sources[by_person < 2].sort_values("set", kind="stable", ascending=False)
    drivers = pd.concat([_photos(sets[name], split) for name in DRIVERS], ignore_index=True)
    chosen = []
    for number, source in enumerate(sources.head(count).to_dict("records")):
        wanted = drivers[
            (drivers["emotion"] == number % len(EMOTIONS)) & (drivers["person"] != source["person"])
        ]
        there = sorted(wanted["set"].unique())
        of_set = wanted[wanted["set"] == there[rng.integers(len(there))]]
        driver = of_set.iloc[rng.integers(len(of_set))].to_dict()
        row = {f"source {k}": v for k, v in source.items()}
        chosen.append(row | {f"driver {k}": v for k, v in driver.items()})
    return pd.DataFrame(chosen)


def measure_shapes(
    shared: Path, faces: UInt8[np.ndarray, "faces size size 3"], name: str
) -> Float[np.ndarray, "faces 52"]:
    """Return the blendshapes of faces; NaN where there are no landmarks."""
    found = np.full((len(faces), 52), np.nan)
    with blendshapes(shared / LANDMARKER) as measure:
        for i in track(range(len(faces)), f"Blendshapes of {name}", console=console):
            found[i] = measure(Image.fromarray(faces[i]))
    return found


def _photos(data: Prepared, split: str) -> pd.DataFrame:
    rows = data.split(split)
    index = data.index.iloc[rows]
    person = index["person"].fillna(index["name"])
    photos = pd.DataFrame(
        {"set": data.name, "row": rows, "person": person, "emotion": index["emotion"]}
    )
    return photos[photos["emotion"].notna()]


def _faces(
    cases: pd.DataFrame, sets: Mapping[str, Prepared], crop: CropSpec
) -> dict[str, np.ndarray]:
    return {
        side: np.stack(
            [
                sets[name].faces(crop)[row]
                for name, row in zip(cases[f"{side} set"], cases[f"{side} row"], strict=True)
            ]
        )
        for side in ("source", "driver")
    }


def _results(
    model: ProductionModel, sources: np.ndarray, drivers: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the results by strength, and the mean masks at strength 1."""
    pictures, masks = [], []
    strengths = torch.tensor(STRENGTHS)[:, None]
    for source, driver in track(
        list(zip(sources, drivers, strict=True)), "Transfers", console=console
    ):
        faces = to_tensor([source, driver])
        own, wanted = model.encode(faces)["condition"]
        outputs = model(faces[:1].expand(len(STRENGTHS), -1, -1, -1), strengths * (wanted - own))
        shown = (outputs["picture"].clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
        pictures.append(shown.numpy())
        masks.append(float(outputs["mask"][0].mean()))
    by_strength = np.stack(pictures, 1)
    return (
        {f"result {s:g}": each for s, each in zip(STRENGTHS, by_strength, strict=True)},
        np.array(masks),
    )
