"""Transfers between real people of one split, and MediaPipe's blendshapes of each of their faces.

Sources are photos of sets that know persons, at most two of each person. Drivers are other people's
photos of all sets, as many of each emotion: so most sources are neutral or happy, as visitors' are,
and all expressions are asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track

from registry.catalog import EMOTIONS
from registry.crops import CropSpec, to_tensor
from registry.landmarks import BLENDSHAPES, blendshapes
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.validation import Encode, Generate

SIDES = ("source", "driver")
console = Console(stderr=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckTransfers:
    """Transfers of one split, and the blendshapes of each face."""

    cases: pd.DataFrame
    """Sets, rows, persons and emotions of `source` and `driver`; a row a transfer."""
    faces: Mapping[str, UInt8[np.ndarray, "transfers size size 3"]]
    """`source`, `driver`, and the results by strength, such as `result 0.5`."""
    shapes: Mapping[str, Float[np.ndarray, "transfers 52"]]
    """Blendshapes of each of `faces`; NaN where MediaPipe finds no landmarks."""


def make_transfers(
    cases: pd.DataFrame,
    sets: Sequence[Prepared],
    crop: CropSpec,
    generate: Generate,
    encode: Encode,
    strengths: Sequence[float],
    landmarker: Path,
) -> CheckTransfers:
    """Return transfers at each strength, with their blendshapes.

    Args:
        cases: as `draw_cases` returns them.
        sets: the prepared sets that the cases name.
        crop: how the generator's faces are cut.
        generate: the generator.
        encode: its encoder.
        strengths: of each transfer, such as 1 and 0.5.
        landmarker: MediaPipe's face_landmarker_v2_with_blendshapes.task.
    """
    faces = {side: _faces(cases, {data.name: data for data in sets}, crop, side) for side in SIDES}
    results = []
    pairs = list(zip(faces["source"], faces["driver"], strict=True))
    for source, driver in track(pairs, "Transfers", console=console):
        results.append(_results(generate, encode, source, driver, strengths))
    by_strength = zip(strengths, np.stack(results, 1), strict=True)
    faces |= {f"result {strength:g}": each for strength, each in by_strength}
    shapes = {name: _shapes(landmarker, each, name) for name, each in faces.items()}
    return CheckTransfers(cases=cases, faces=faces, shapes=shapes)


def draw_cases(sets: Sequence[Prepared], split: str, count: int) -> pd.DataFrame:
    """Return sources and drivers of up to `count` transfers of a split, the same at every call."""
    if not sets:
        return pd.DataFrame()
    rng = np.random.default_rng(0)
    drivers = pd.concat([_photos(data, split) for data in sets], ignore_index=True)
    with_persons = [data.name for data in sets if data.index["person"].notna().any()]
    sources = drivers[drivers["set"].isin(with_persons)].sample(frac=1, random_state=0)
    by_person = sources.groupby("person", sort=False).cumcount()
    sources = sources[by_person < 2].sort_values("set", kind="stable", ascending=False)
    chosen = []
    for number, source in enumerate(sources.head(count).to_dict("records")):
        of_others = drivers[drivers["person"] != source["person"]]
        wanted = of_others[of_others["emotion"] == number % len(EMOTIONS)]
        if not len(wanted):
            continue
        there = sorted(wanted["set"].unique())
        of_set = wanted[wanted["set"] == there[rng.integers(len(there))]]
        driver = of_set.iloc[rng.integers(len(of_set))].to_dict()
        row = {f"source {k}": v for k, v in source.items()}
        chosen.append(row | {f"driver {k}": v for k, v in driver.items()})
    return pd.DataFrame(chosen)


def _photos(data: Prepared, split: str) -> pd.DataFrame:
    rows = data.split(split)
    index = data.index.iloc[rows]
    person = index["person"].fillna(index["name"])
    photos = pd.DataFrame(
        {"set": data.name, "row": rows, "person": person, "emotion": index["emotion"]}
    )
    return photos[photos["emotion"].notna()]


def _faces(
    cases: pd.DataFrame, sets: Mapping[str, Prepared], crop: CropSpec, side: str
) -> UInt8[np.ndarray, "transfers size size 3"]:
    named = zip(cases[f"{side} set"], cases[f"{side} row"], strict=True)
    return np.stack([sets[name].faces(crop)[row] for name, row in named])


def _results(
    generate: Generate,
    encode: Encode,
    source: UInt8[np.ndarray, "size size 3"],
    driver: UInt8[np.ndarray, "size size 3"],
    strengths: Sequence[float],
) -> UInt8[np.ndarray, "strengths size size 3"]:
    faces = to_tensor([source, driver])
    with torch.inference_mode():
        own, wanted = encode(faces)["condition"]
        change = torch.tensor(strengths, device=own.device)[:, None] * (wanted - own)
        pictures = generate(faces[:1].expand(len(strengths), -1, -1, -1), change)
    levels = (pictures.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
    return np.asarray(levels.cpu().numpy())


def _shapes(
    landmarker: Path, faces: UInt8[np.ndarray, "faces size size 3"], name: str
) -> Float[np.ndarray, "faces 52"]:
    found = np.full((len(faces), BLENDSHAPES), np.nan)
    with blendshapes(landmarker) as measure:
        for i in track(range(len(faces)), f"Blendshapes of each {name}", console=console):
            found[i] = measure(Image.fromarray(faces[i]))
    return found
