"""Feature maps of the frozen first stages of MobileFaceNet, computed once for many short trainings.

What is trained on them is the rest of the network: the last stage, the last convolution and the
projection. A training's step then costs a hundredth of a whole one, and sees each face in VIEWS
random versions and no others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Int, UInt8
from numpy.lib.format import open_memmap
from torch import Tensor, nn
from torch.nn import functional

from registry.console import track
from registry.crops import CropSpec
from registry.onnx_runtime import onnx_runtime
from registry.temporary import TemporaryFolder
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
BATCH = 32


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
    pixels = data.faces(CROP)
    return data.cached_map(
        f"mobilefacenet-{FROZEN_STAGES}-{name}-{views}",
        lambda path: write_maps(path, pixels, rows, views, data.name),
    )


def write_maps(
    path: Path,
    pixels: UInt8[np.ndarray, "n 128 128 3"],
    rows: Int[np.ndarray, "faces"],
    views: int,
    name: str,
) -> None:
    """Write the maps of some faces, cut by CROP, as a .npy file; see `maps_of`."""
    shape = (len(rows), views, *SHAPE)
    written = open_memmap(path, mode="w+", dtype=np.float16, shape=shape)  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    starts = range(0, len(rows), BATCH)
    with TemporaryFolder() as folder:
        compute = _first_stages(folder)
        for start in track(starts, f"maps of {name}", total=len(starts)):
            faces = torch.from_numpy(pixels[rows[start : start + BATCH]]).permute(0, 3, 1, 2)
            for view in range(views):
                part = compute(faces.float() / 255 if views == 1 else GENTLE(faces))
                written[start : start + len(part), view] = part
    written.flush()


def _first_stages(folder: Path) -> Callable[[Tensor], np.ndarray]:
    """Return the frozen stages in ONNX Runtime: on a CPU thrice as fast as torch.

    Args:
        folder: an empty folder, which keeps the graph.
    """
    network = mobilefacenet()
    kept = nn.Sequential(_Middle(network), network.stages[MIDDLE_STAGES]).eval()
    torch.onnx.export(
        kept,
        (torch.zeros(2, 3, FRAME_PX, FRAME_PX),),
        folder / "stages.onnx",
        input_names=["faces"],
        dynamic_axes={"faces": {0: "batch"}},
        dynamo=False,
    )
    session = onnx_runtime().InferenceSession(folder / "stages.onnx")

    def compute(faces: Tensor) -> np.ndarray:
        maps: np.ndarray = session.run(None, {"faces": faces.numpy()})[0]
        return maps

    return compute


class _Middle(nn.Module):
    """A MobileFaceNet until its maps of 14 px."""

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> Tensor:
        return self.network.middle(faces)


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """The maps and identity vectors of some faces of a set."""

    maps: np.ndarray
    identities: Float[Tensor, "faces views 128"]

    def batch(self, items: np.ndarray, views: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the maps and identity vectors of some faces, each in one of its views."""
        maps = torch.from_numpy(self.maps[items, views]).float()
        return maps, self.identities[torch.from_numpy(items), torch.from_numpy(views)]


def identities_of(
    maps: Float16[np.ndarray, "faces views 128 7 7"],
) -> Float[np.ndarray, "faces views 128"]:
    """Return the frozen network's identity vectors."""
    frozen, vectors = LastLayers(mobilefacenet()).eval(), []
    with torch.inference_mode():
        for start in range(0, len(maps), 8 * BATCH):
            part = torch.tensor(maps[start : start + 8 * BATCH]).float()
            vectors.append(frozen(part.flatten(0, 1)).unflatten(0, part.shape[:2]).numpy())
    return np.concatenate(vectors)


@cache
def faces_of(folder: Path, split: str, views: int = 1) -> Faces:
    """Return the faces of `rows_of`; maps and identity vectors are computed once."""
    data = Prepared.open(folder)
    maps = maps_of(data, rows_of(data, split), split, views=views)
    identities = data.cached(f"mobilefacenet-{split}-{views}", lambda: identities_of(maps))
    return Faces(maps=maps, identities=torch.from_numpy(identities))


def rows_of(data: Prepared, split: str) -> Int[np.ndarray, "faces"]:
    """Return the rows of a split that are used: clear faces to train on, else those to embed."""
    if split != "train":
        return rows_to_embed(data, split)
    rows = data.split("train")
    clear: np.ndarray = rows[votes.is_clear(data.index)[rows]]
    return clear
