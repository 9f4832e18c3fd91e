"""The expression that each face of a training batch should get."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from registry.crops import CropSpec
from training.datasets.prepared import Prepared
from training.engine.inference import outputs
from training.models.pix2pixhd.config import PairSampling
from training.models.pix2pixhd.encoder import Encoder
from training.models.pix2pixhd.pairs import Drivers, Pairs
from training.starters.files import weights_digest


class ConditionBatch(NamedTuple):
    """The conditions of a batch."""

    change: Float[Tensor, "batch dims"]
    """The driver's condition minus the source's."""
    wanted: Float[Tensor, "batch dims"]
    """The driver's condition."""
    known: Bool[Tensor, "batch"]
    """Whether the target is the truth."""
    with_truth: Int[Tensor, "known"]
    """Positions in the batch of those whose target is the truth."""
    without_truth: Int[Tensor, "unknown"]
    """Positions of the others."""
    driver: UInt8[Tensor, "batch 3 h w"]
    """The driver's face, aligned, RGB."""


class ConditionSampler:
    """Draws drivers for pairs and single faces.

    Args:
        sets: prepared sets.
        pairs: their pairs and single faces.
        spec: how faces are cut.
        encoder: computes the conditions.
        sampling: how often a driver is another person.
    """

    def __init__(
        self,
        sets: Sequence[Prepared],
        pairs: Pairs,
        spec: CropSpec,
        encoder: Encoder,
        sampling: PairSampling,
    ) -> None:
        self.pairs, self.sampling = pairs, sampling
        self.drivers = Drivers(sets, "train")
        self.conditions = [_conditions(data, spec, encoder) for data in sets]

    def sample(self, index: Int[np.ndarray, "batch"], rng: np.random.Generator) -> ConditionBatch:
        """Return conditions for the pairs or single faces of a batch."""
        vectors, known, drivers = [], [], []
        for item in index.tolist():
            which, (source, target) = int(self.pairs.set[item]), self.pairs.rows[item].tolist()
            paired = bool(self.pairs.paired[item])
            driver = self._driver(which, target, rng, paired=paired)
            known.append(paired or driver == target)
            own, wanted = self.conditions[which][source], self.conditions[which][driver]
            vectors.append(torch.stack([wanted - own, wanted]))
            drivers.append(self.pairs.pixels[which][driver])
        both = torch.stack(vectors)
        faces = torch.from_numpy(np.stack(drivers)).permute(0, 3, 1, 2)
        is_known = torch.tensor(known)
        with_truth, without = (torch.nonzero(each).flatten() for each in (is_known, ~is_known))
        return ConditionBatch(both[:, 0], both[:, 1], is_known, with_truth, without, faces)

    def _driver(self, which: int, target: int, rng: np.random.Generator, *, paired: bool) -> int:
        drawn = rng.random()
        if paired and drawn < self.sampling.cross_driver_share:
            return self.drivers.like(which, target, rng)
        if not paired and drawn < self.sampling.unpaired_share:
            return self.drivers.other(which, target, rng)
        return target


def _conditions(data: Prepared, spec: CropSpec, encoder: Encoder) -> Float[Tensor, "faces dims"]:
    """Return the condition of each training face; NaN for all others."""

    def compute() -> Float[np.ndarray, "faces dims"]:
        rows, label = data.split("train"), f"Encoding {data.name}"
        found = outputs(encoder, data, rows, spec, batch_size=64, label=label)["condition"]
        vectors = np.full((len(data.index), encoder.dims), np.nan, dtype=np.float32)
        vectors[rows] = found
        return vectors

    by = f"{weights_digest(encoder.state_dict())[:12]}-{encoder.dims}"
    name = f"condition-{by}-{spec.size_px}px-m{spec.margin:g}"
    return torch.from_numpy(data.cached(name, compute))
