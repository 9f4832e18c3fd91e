"""What the generator is asked in training: whose expression, for which face."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from registry.crops import CropSpec
from training.datasets.prepared import Prepared
from training.engine.inference import outputs
from training.models.pix2pixhd.encoder import Encoder
from training.models.pix2pixhd.pairs import Drivers, Pairs
from training.starters.files import weights_digest


class ConditionBatch(NamedTuple):
    """The questions of a batch."""

    change: Float[Tensor, "batch dims"]
    """The driver's condition less the source's."""
    wanted: Float[Tensor, "batch dims"]
    """The driver's."""
    known: Bool[Tensor, "batch"]
    """Where the target is the truth."""
    driver: UInt8[Tensor, "batch 3 h w"]
    """The driver's face, aligned, RGB."""


class ConditionSampler:
    """Chooses drivers for pairs and single faces.

    Args:
        sets: prepared sets.
        pairs: their pairs and single faces.
        spec: how faces are cut.
        encoder: tells expressions.
        driven: share of the pairs that another person asks, who shows the same as the target.
        moved: share of the single faces that are asked for another person's expression; the others
            are asked for their own, no change.
    """

    def __init__(
        self,
        sets: Sequence[Prepared],
        pairs: Pairs,
        spec: CropSpec,
        encoder: Encoder,
        *,
        driven: float,
        moved: float,
    ) -> None:
        self.pairs, self.driven, self.moved = pairs, driven, moved
        self.drivers = Drivers(sets, "train")
        self.conditions = [_conditions(data, spec, encoder) for data in sets]

    def ask(self, index: Int[np.ndarray, "batch"], rng: np.random.Generator) -> ConditionBatch:
        """Return the questions about the pairs or single faces of a batch."""
        vectors, known, drivers = [], [], []
        for item in index.tolist():
            which, (source, target) = int(self.pairs.set[item]), self.pairs.rows[item].tolist()
            paired = bool(self.pairs.paired[item])
            driver = self._driver(which, target, rng, paired=paired)
            known.append(paired or driver == target)
            own, asked = self.conditions[which][source], self.conditions[which][driver]
            vectors.append(torch.stack([asked - own, asked]))
            drivers.append(self.pairs.pixels[which][driver])
        both = torch.stack(vectors)
        faces = torch.from_numpy(np.stack(drivers)).permute(0, 3, 1, 2)
        return ConditionBatch(both[:, 0], both[:, 1], torch.tensor(known), faces)

    def _driver(self, which: int, target: int, rng: np.random.Generator, *, paired: bool) -> int:
        roll = rng.random()
        if paired and roll < self.driven:
            return self.drivers.like(which, target, rng)
        if not paired and roll < self.moved:
            return self.drivers.other(which, target, rng)
        return target


def _conditions(data: Prepared, spec: CropSpec, encoder: Encoder) -> Float[Tensor, "faces dims"]:
    """Return the condition of each training face; not numbers for all others."""

    def look() -> Float[np.ndarray, "faces dims"]:
        rows, told = data.split("train"), f"The encoder looks at {data.name}"
        found = outputs(encoder, data, rows, spec, batch_size=64, told=told)["condition"]
        vectors = np.full((len(data.index), encoder.dims), np.nan, dtype=np.float32)
        vectors[rows] = found
        return vectors

    by = f"{weights_digest(encoder.state_dict())[:12]}-{encoder.dims}"
    name = f"condition-{by}-{spec.size_px}px-m{spec.margin:g}"
    return torch.from_numpy(data.cached(name, look))
