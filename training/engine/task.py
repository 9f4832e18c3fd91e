"""The interface of a model to the loop: networks, optimisers, batches, step, validation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from registry.catalog import ModelSpec
from registry.crops import CropSpec
from registry.measurements import Measurement
from training.datasets.contact_sheet import draw_sheet
from training.datasets.leakage import check_sets_disjoint
from training.datasets.prepare import toy_set
from training.datasets.prepared import Prepared
from training.engine.recipe import Recipe, RecipeError


class TrainingError(RuntimeError):
    """A training stopped itself; the message says why and what to do."""


class NotFinite(TrainingError):
    """A loss or a weight is no longer finite."""


Networks = Mapping[str, nn.Module]
Batch = dict[str, Any]
"""Tensors by name, on the training's device; numpy arrays stay on the CPU."""


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """An optimiser and the schedule of its learning rate, stepped once per update."""

    optimiser: Optimizer
    schedule: LRScheduler


@dataclass(frozen=True, kw_only=True)
class Update:
    """One update of one optimiser; a GAN's step yields two."""

    optimiser: str
    loss: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The result of a finished training: a network for the registry and what it needs to run.

    `network` maps RGB faces in [0, 1] to the outputs that its `ModelSpec` names; `config` rebuilds
    it. `encoder` and `thresholds` are for a network that also takes a change of expression,
    `temperature` and `class_prior` for a classifier.
    """

    network: nn.Module
    config: Mapping[str, object]
    crop: CropSpec
    labels: tuple[str, ...] = ()
    temperature: float | None = None
    encoder: nn.Module | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    class_prior: Mapping[str, float] = field(default_factory=dict)


class SummaryRow(NamedTuple):
    """A part of a network for `summary`, with its input for one face."""

    network: nn.Module
    example: Tensor | tuple[Tensor, ...]
    note: str = ""


class Task(ABC):
    """One model's part of a training."""

    spec: ModelSpec | None
    """The registered model; None for a network that is only part of others."""
    crop: CropSpec

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @cached_property
    def sets(self) -> tuple[Prepared, ...]:
        """The prepared data, opened at first use.

        Raises:
            RecipeError: the recipe names no data, or names data although it uses drawn faces.
            PreparedError: there is none, or a picture of it is in several splits.
        """
        if self.recipe.toy and self.recipe.data:
            raise RecipeError(
                "This recipe learns from drawn faces, so --data would be ignored: leave it out, or "
                "add --no-toy to learn from the data."
            )
        if self.recipe.toy:
            return (toy_set(self.recipe.runs),)
        if not self.recipe.data:
            raise RecipeError(
                "This recipe needs data: make it with `python -m training prepare SET SOURCE DEST` "
                "and add --data DEST, or train the -smoke variant, which needs none."
            )
        sets = tuple(Prepared.open(folder) for folder in self.recipe.data)
        check_sets_disjoint(sets)
        return sets

    @property
    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """The modules that train, and those that only evaluate, by name; the loop wraps each."""

    @abstractmethod
    def summary_rows(self) -> dict[str, SummaryRow]:
        """The network of the paper's table, part by part, for `summary`; needs no data."""

    def example(self) -> Float[Tensor, "1 3 h w"]:
        """Return one face of noise, for `summary_rows`."""
        return torch.rand(1, 3, self.crop.size_px, self.crop.size_px)

    @abstractmethod
    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return the optimisers by name for a training of `steps` steps."""

    @abstractmethod
    def loader(self) -> DataLoader[Any]:
        """Return the training batches; their order follows the sampler's epoch and seed."""

    def begin(self, epoch: int) -> None:
        """Prepare for epoch `epoch`, counted from 0, which starts or resumes."""
        del epoch

    @abstractmethod
    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield this batch's updates; the loop applies each before it takes the next."""

    @abstractmethod
    def validate(self, networks: Networks) -> list[Measurement]:
        """Return what was measured on the split validation.

        Networks come in eval mode, without gradients. It isn't called where `has_validation` is
        false.
        """

    def has_validation(self) -> bool:
        """Return whether `validate` has anything to measure."""
        return any(len(data.split("validation")) for data in self.sets)

    def sheet(self) -> np.ndarray | None:
        """Return a contact sheet of training faces, HWC uint8; of persons only with `log_faces`."""
        shown = self.recipe.toy or self.recipe.log_faces
        if not shown or not len(self.sets[0].split("train")):
            return None
        return np.asarray(draw_sheet(self.sets[0], "train"))

    def epoch_sheet(self, networks: Networks) -> np.ndarray | None:
        """Return a picture to log after an epoch, HWC uint8; networks come as for `validate`."""
        del networks
        return None

    @abstractmethod
    def export(self, networks: Networks) -> TrainedModel:
        """Return what is registered when the training is done."""
