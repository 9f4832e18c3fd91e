"""Feature maps of the frozen first stages of MobileFaceNet, computed once for many short trainings.

What is trained on them is the rest of the network: the last stage, the last convolution and the
projection. A training's step then costs a hundredth of a whole one, and sees each face in VIEWS
random versions and no others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Int
from numpy.lib.format import open_memmap
from torch import Tensor, nn
from torch.nn import functional

from registry.console import track
from registry.crops import CropSpec
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.loading.augmentation import GENTLE
from training.metrics.embedding import rows_to_embed
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.mobilefacenet import (
    FRAME_MARGIN,
    FRAME_PX,
    MIDDLE_STAGES,
    MobileFaceNet,
)
from training.models.backbones.pretrained import start_face

FROZEN_STAGES = MIDDLE_STAGES + 1
VIEWS = 4
CROP = CropSpec(size_px=FRAME_PX, margin=FRAME_MARGIN)
SHAPE = (128, 7, 7)
BATCH = 128


class LastLayers(nn.Module):
    """The layers of a MobileFaceNet after its first FROZEN_STAGES: maps -> unit vector of 128."""

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.stages = network.stages[FROZEN_STAGES:]
        self.last, self.project = network.last, network.project

    def forward(self, maps: Float[Tensor, "batch 128 7 7"]) -> Float[Tensor, "batch 128"]:
        """Return unit vectors."""
        x = maps
        for stage in self.stages:
            x = stage(x)
        return functional.normalize(self.project(self.last(x)).flatten(1), dim=1)


def mobilefacenet() -> MobileFaceNet:
    """Return the shipped face recognition network, in eval mode."""
    network = MobileFaceNet()
    start_face(network, BackboneConfig(name="mobilefacenet"), None)
    return network.eval()


def maps_of(
    data: Prepared, rows: Int[np.ndarray, "faces"], name: str, *, views: int = 1
) -> Float16[np.ndarray, "faces views 128 7 7"]:
    """Return the maps of a set's faces, computed once and then read from the set's cache.

    Args:
        data: a prepared set.
        rows: rows of its index.
        name: names the rows in the cache, such as the split.
        views: 1: the faces as they are; more: that many versions by the recipes' GENTLE
            augmentation, drawn with seed 0.
    """
    shape = (len(rows), views, *SHAPE)

    def write(path: Path) -> None:
        written = open_memmap(path, mode="w+", dtype=np.float16, shape=shape)  # type: ignore[no-untyped-call]
        for start, part in _computed(data, rows, views):
            written[start : start + len(part)] = part
        written.flush()

    return data.cached_map(f"mobilefacenet-{FROZEN_STAGES}-{name}-{views}", write)


def _computed(
    data: Prepared, rows: Int[np.ndarray, "faces"], views: int
) -> Iterator[tuple[int, np.ndarray]]:
    network, pixels = mobilefacenet(), data.faces(CROP)
    torch.manual_seed(0)
    starts = range(0, len(rows), BATCH)
    for start in track(starts, f"maps of {data.name}", total=len(starts)):
        faces = torch.from_numpy(pixels[rows[start : start + BATCH]]).permute(0, 3, 1, 2)
        with torch.inference_mode():
            parts = [
                _first_stages(network, faces.float() / 255 if views == 1 else GENTLE(faces))
                for _ in range(views)
            ]
        yield start, torch.stack(parts, 1).half().numpy()


def _first_stages(network: MobileFaceNet, faces: Tensor) -> Tensor:
    maps: Tensor = network.stages[MIDDLE_STAGES](network.middle(faces))
    return maps


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """The maps and identity vectors of some faces of a set."""

    maps: np.ndarray
    identities: Float[Tensor, "faces views 128"]

    def batch(self, items: np.ndarray, views: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the maps and identity vectors of some faces, each in one of its views."""
        maps = torch.from_numpy(self.maps[items, views]).float()
        return maps, self.identities[torch.from_numpy(items), torch.from_numpy(views)]


@cache
def faces_of(folder: Path, split: str, views: int = 1) -> Faces:
    """Return the faces of `rows_of`, their maps computed once."""
    data = Prepared.open(folder)
    maps = maps_of(data, rows_of(data, split), split, views=views)
    frozen = LastLayers(mobilefacenet()).eval()
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(maps), 256):
            part = torch.from_numpy(maps[start : start + 256]).float()
            vectors.append(frozen(part.flatten(0, 1)).unflatten(0, part.shape[:2]))
    return Faces(maps=maps, identities=torch.cat(vectors).clone())


def rows_of(data: Prepared, split: str) -> Int[np.ndarray, "faces"]:
    """Return the rows of a split that are used: clear faces to train on, else those to embed."""
    if split != "train":
        return rows_to_embed(data, split)
    rows = data.split("train")
    clear: np.ndarray = rows[votes.is_clear(data.index)[rows]]
    return clear
