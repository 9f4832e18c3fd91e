"""How outputs change when the picture of a face changes a little, and how long they take."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from registry.crops import CropSpec
from registry.measurements import Measurement
from training.datasets.prepared import Prepared

FACES = 300
SMALL_PX = 24
BATCH = 32
REPEATS = 20
Change = Callable[[Tensor], Tensor]
Outputs = Mapping[str, Tensor]


def moved(faces: Float[Tensor, "batch 3 h w"], share: float) -> Float[Tensor, "batch 3 h w"]:
    """Return the faces in a crop that is moved right and down by a share of its side."""
    by = round(share * faces.shape[3])
    wider: Tensor = functional.pad(faces, [0, 0, by, by], padding_mode="edge")
    return wider[..., by:, by:]


def small(faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
    """Return the faces as if they were 24 px in their photo."""
    reduced = functional.resize(faces, [SMALL_PX, SMALL_PX], antialias=True)
    enlarged: Tensor = functional.resize(reduced, list(faces.shape[2:]), antialias=True)
    return enlarged


def blurred(faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
    """Return the faces out of focus: a Gaussian of 2.5 % of the side."""
    out: Tensor = functional.gaussian_blur(faces, [9, 9], [0.025 * faces.shape[3]])
    return out


CHANGES: Mapping[str, Change] = {
    "again": torch.clone,
    "mirrored": functional.horizontal_flip,
    "brighter": lambda faces: functional.adjust_brightness(faces, 1.1),
    "darker": lambda faces: functional.adjust_brightness(faces, 0.9),
    "moved": lambda faces: moved(faces, 0.05),
    "small": small,
    "blurred": blurred,
}


def robustness(network: nn.Module, data: Prepared, split: str, crop: CropSpec) -> list[Measurement]:
    """Return how outputs change with the picture, a row for each of CHANGES: its name is the group.

    For a classifier, the share of faces whose emotion stays the same. For an embedding, how far a
    face moves, divided by the distance between two faces (medians over up to 300 faces drawn with
    seed 0): 0 is not at all, 1 as far as another face.
    """
    rows = data.split(split)
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:FACES])
    faces = torch.from_numpy(data.faces(crop)[chosen]).permute(0, 3, 1, 2).float() / 255
    unchanged = _outputs(network, faces)
    compare = _same_emotion if "logits" in unchanged else _relative_distance
    return [
        Measurement(
            split=split,
            set=data.name,
            metric="robustness",
            group=name,
            value=compare(unchanged, _outputs(network, change(faces))),
        )
        for name, change in CHANGES.items()
    ]


def latency(network: nn.Module, crop: CropSpec) -> list[Measurement]:
    """Return milliseconds per face, alone and in a batch of 32; medians of 20 runs."""
    rows = []
    for batch in (1, BATCH):
        faces = torch.rand(batch, 3, crop.size_px, crop.size_px)
        times = [_seconds(network, faces) for _ in range(REPEATS + 2)][2:]
        value = 1000 * statistics.median(times) / batch
        rows.append(
            Measurement(split="", set="", metric="latency_ms", group=f"batch {batch}", value=value)
        )
    return rows


def _seconds(network: nn.Module, faces: Tensor) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        network(faces)
    return time.perf_counter() - start


def _outputs(network: nn.Module, faces: Tensor) -> Outputs:
    with torch.inference_mode():
        batches = [network(batch) for batch in faces.split(BATCH)]
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def _same_emotion(unchanged: Outputs, changed: Outputs) -> float:
    same = unchanged["logits"].argmax(1) == changed["logits"].argmax(1)
    return float(same.float().mean())


def _relative_distance(unchanged: Outputs, changed: Outputs) -> float:
    before, after = unchanged["expression"], changed["expression"]
    between_faces = torch.nn.functional.pdist(before).median()
    return float((before - after).norm(dim=1).median() / between_faces)
