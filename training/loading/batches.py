"""Prepared faces as training batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler

from registry.crops import CropSpec
from training.datasets.prepared import Prepared
from training.engine.device import device_of
from training.engine.recipe import Recipe

SHARE_OF_GPU = 0.25
"""Most of a GPU's free memory that pictures may take."""
BLOCK = 4096
"""Faces copied to a GPU at a time."""


class Items(Dataset[dict[str, Any]], ABC):
    """A data set that returns a whole batch in one call."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abstractmethod
    def __getitems__(self, items: list[int]) -> dict[str, Any]:
        """Return a batch."""

    def __getitem__(self, item: int) -> dict[str, Any]:
        """Return a batch of one item."""
        return self.__getitems__([item])


class Faces(Items):
    """Rows of prepared sets with their targets.

    Args:
        sets: prepared sets.
        rows: for each set, the rows to take (its index's row numbers).
        spec: how faces are cut.
        targets: name -> one value per face, in the order of `sets` and `rows`.
    """

    def __init__(
        self,
        sets: Sequence[Prepared],
        rows: Sequence[np.ndarray],
        spec: CropSpec,
        targets: Mapping[str, np.ndarray],
    ) -> None:
        self.pixels = [prepared.faces(spec) for prepared in sets]
        self.sets = np.concatenate([np.full(len(r), i) for i, r in enumerate(rows)])
        self.rows = np.concatenate([np.asarray(r, dtype=np.int64) for r in rows])
        self.targets = {name: torch.from_numpy(values) for name, values in targets.items()}
        assert all(len(values) == len(self.rows) for values in targets.values())
        self.on_gpu: UInt8[Tensor, "faces h w 3"] | None = None
        """All faces in a GPU's memory; batches hold no pictures then."""

    def __len__(self) -> int:
        return len(self.rows)

    def pictures(self, indices: Sequence[int]) -> UInt8[np.ndarray, "batch h w 3"]:
        """Return the faces at `indices`."""
        return np.stack([self.pixels[self.sets[i]][self.rows[i]] for i in indices])

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        """Return a batch: `faces` (batch, 3, h, w) uint8 RGB, `index`, and the targets.

        Without `faces` if they are on the GPU already; see `pictures_of`.
        """
        where = torch.tensor(indices)
        batch = {"index": where} | {k: v[where] for k, v in self.targets.items()}
        if self.on_gpu is None:
            batch["faces"] = torch.from_numpy(self.pictures(indices)).permute(0, 3, 1, 2)
        return batch

    def pictures_of(self, batch: Mapping[str, Tensor]) -> UInt8[Tensor, "batch 3 h w"]:
        """Return the faces of a batch, which is on the training's device."""
        if self.on_gpu is None:
            return batch["faces"]
        return self.on_gpu[batch["index"]].permute(0, 3, 1, 2)

    def keep_on_gpu(self, recipe: Recipe) -> None:
        """Copy all faces to the GPU of a training, if it has one and they fit there."""
        if recipe.faces_on_gpu == "no" or device_of(recipe) != "cuda" or not len(self):
            return
        first = self.pictures([0])
        if first.nbytes * len(self) > SHARE_OF_GPU * torch.cuda.mem_get_info()[0]:
            return
        self.keep_on(torch.device("cuda", torch.cuda.current_device()))

    def keep_on(self, device: torch.device) -> None:
        """Copy all faces to a device."""
        blocks = [
            torch.from_numpy(self.pictures(range(i, min(i + BLOCK, len(self))))).to(device)
            for i in range(0, len(self), BLOCK)
        ]
        self.on_gpu = torch.cat(blocks)


class WeightedSampler(Sampler[int]):
    """Draws items in proportion to weights; each epoch and seed has its own order.

    Equal weights draw each item once an epoch, others draw with replacement.

    Args:
        weights: one per item.
        seed: seed of the orders.
        count: items drawn in an epoch; by default the number of weights.
    """

    def __init__(self, weights: np.ndarray, seed: int, count: int | None = None) -> None:
        self.weights = torch.from_numpy(weights).double()
        self.seed = seed
        self.count = count or len(weights)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Any:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        whole = self.count == len(self.weights)
        if whole and bool((self.weights == self.weights[0]).all()):
            return iter(torch.randperm(self.count, generator=generator).tolist())
        drawn = torch.multinomial(self.weights, self.count, replacement=True, generator=generator)
        return iter(drawn.tolist())


def balanced(classes: Int[np.ndarray, "faces"], exponent: float) -> Float[np.ndarray, "faces"]:
    """Return sampling weights: exponent 0 keeps the frequencies, 1 makes all classes equal."""
    frequency = np.bincount(classes)[classes]
    weights: np.ndarray = 1.0 / frequency.astype(np.float64) ** exponent
    return weights


def as_fetched(batch: Any) -> Any:
    """Return the batch that `Faces` has already put together."""
    return batch


def batches(
    items: Items, *, size: int, workers: int = 0, sampler: Sampler[int] | None = None
) -> DataLoader[Any]:
    """Return shuffled training batches of `size` items; a last short one is left out."""
    order = sampler or RandomSampler(items)
    return DataLoader(
        items,
        batch_size=min(size, len(items)),
        sampler=order,
        drop_last=True,
        num_workers=workers,
        collate_fn=as_fetched,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
