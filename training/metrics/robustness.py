"""What an answer does when the same face comes a little different, and how long it takes."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from registry.crops import CropSpec
from training.datasets.prepared import Prepared

FACES = 300
SMALL_PX = 24
BATCH = 32
REPEATS = 20
Change = Callable[[Tensor], Tensor]


def moved(faces: Float[Tensor, "batch 3 h w"], share: float) -> Float[Tensor, "batch 3 h w"]:
    """Return the faces as a crop moved right and down by a share of its side shows them."""
    by = round(share * faces.shape[3])
    wider: Tensor = functional.pad(faces, [0, 0, by, by], padding_mode="edge")
    return wider[..., by:, by:]


def small(faces: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
    """Return the faces as if they were 24 px in their photo."""
    few = functional.resize(faces, [SMALL_PX, SMALL_PX], antialias=True)
    again: Tensor = functional.resize(few, list(faces.shape[2:]), antialias=True)
    return again


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


def robustness(
    network: nn.Module, data: Prepared, rows: np.ndarray, crop: CropSpec
) -> dict[str, float]:
    """Return what changes of a picture that mean nothing do to the answers.

    For a classifier, `robustness/mirrored` and the like are the shares of faces that keep their
    emotion. For an embedding they are how far a face moves, as a share of the distance between two
    faces (medians over up to 300 faces drawn with seed 0): 0 stays, 1 is another face.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:FACES])
    faces = torch.from_numpy(data.faces(crop)[chosen]).permute(0, 3, 1, 2).float() / 255
    said = _answers(network, faces)
    judge = _kept if "logits" in said else _moved
    return {
        f"robustness/{name}": judge(said, _answers(network, change(faces)))
        for name, change in CHANGES.items()
    }


def latency(network: nn.Module, crop: CropSpec) -> dict[str, float]:
    """Return milliseconds for one face alone and for one of 32, medians of 20 on this machine."""
    found = {}
    for batch in (1, BATCH):
        faces = torch.rand(batch, 3, crop.size_px, crop.size_px)
        times = [_seconds(network, faces) for _ in range(REPEATS + 2)][2:]
        found[f"latency_ms/batch_{batch}"] = 1000 * statistics.median(times) / batch
    return found


def _seconds(network: nn.Module, faces: Tensor) -> float:
    began = time.perf_counter()
    with torch.inference_mode():
        network(faces)
    return time.perf_counter() - began


def _answers(network: nn.Module, faces: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        said = [network(few) for few in faces.split(BATCH)]
    return {key: torch.cat([each[key] for each in said]) for key in said[0]}


def _kept(said: Mapping[str, Tensor], changed: Mapping[str, Tensor]) -> float:
    same = said["logits"].argmax(1) == changed["logits"].argmax(1)
    return float(same.float().mean())


def _moved(said: Mapping[str, Tensor], changed: Mapping[str, Tensor]) -> float:
    before, after = said["expression"], changed["expression"]
    apart = torch.nn.functional.pdist(before).median()
    return float((before - after).norm(dim=1).median() / apart)
