"""Training a DLN on triplets."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from registry.catalog import DLN as CARD
from registry.faces import CropSpec
from training.augment import Augmentation
from training.backbones.pretrained import start_identity
from training.config import RecipeError
from training.dln.config import DLNRecipe
from training.dln.crowd import CrowdLayer
from training.dln.network import DLN
from training.feed import Faces, WeightedSampler, batches
from training.inference import outputs
from training.optimisation import optimisation
from training.task import Batch, Networks, Optimisation, Production, Task, Update
from training.triplets import accuracy, lists, votes
from training.triplets.loss import triplet_loss


class DLNTask(Task):
    """The pair, its head and the crowd layer, learning which of three faces is odd."""

    card = CARD
    recipe: DLNRecipe

    def __init__(self, recipe: DLNRecipe) -> None:
        super().__init__(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=CARD.crop.margin)
        self.augmentation: Augmentation = recipe.augmentation

    @cached_property
    def dln(self) -> DLN:
        """The network, both branches started from the same identity weights."""
        torch.manual_seed(self.recipe.seed)
        dln = DLN(self.recipe.network)
        start_identity(dln.pair, self.recipe.network.backbone, self.recipe.identity_weights)
        return dln

    @cached_property
    def crowd(self) -> CrowdLayer:
        """The annotators' matrices."""
        return CrowdLayer(self.recipe.sampling.annotators, self.recipe.network.dims)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The DLN and the crowd layer."""
        return {"dln": self.dln, "crowd": self.crowd}

    def parts(self) -> dict[str, nn.Module]:
        """Return both branches, normalisation and head."""
        network = DLN(self.recipe.network)
        return {
            "face branch": network.pair.face,
            "identity branch (frozen)": network.pair.identity,
            "normalisation of the deviation": network.norm,
            f"polynomial head of order {self.recipe.network.order}": network.head,
        }

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return one optimiser over both networks."""
        parameters = [*self.dln.parameters(), *self.crowd.parameters()]
        recipe = self.recipe
        return {
            "dln": optimisation(recipe, parameters, steps, recipe.optimiser, recipe.schedule),
        }

    def loader(self) -> DataLoader[Any]:
        """Return batches of faces with their vote distributions.

        Raises:
            RecipeError: no training face has a label.
        """
        rows, opinions = [], []
        for data in self.sets:
            train = data.split("train")
            chosen = train[votes.is_clear(data.index)[train]]
            rows.append(chosen)
            opinions.append(votes.counts(data.index)[chosen])
        said = np.concatenate(opinions)
        if len(said) < 3:
            raise RecipeError("A DLN learns from labelled faces; the training split has none.")
        targets = {"shares": votes.shares(said), "single": said.sum(1) <= 1}
        faces = Faces(self.sets, rows, self.crop, targets)
        sampler = WeightedSampler(balanced(said.argmax(1), self.recipe.balance), self.recipe.seed)
        return batches(
            faces, size=self.recipe.batch_size, workers=self.recipe.workers, sampler=sampler
        )

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the update for the triplets drawn from this batch."""
        recipe = self.recipe
        faces = self.augmentation(batch["faces"]).to(memory_format=torch.channels_last)
        triplets = recipe.sampling.draw(batch["shares"], batch["single"], recipe.seed)
        seen = networks["crowd"](networks["dln"](faces)["expression"]).float()
        loss = triplet_loss(seen, triplets, recipe.margin, recipe.one_class_margin)
        yield Update(
            optimiser="dln",
            loss=loss,
            metrics={"triplets": torch.tensor(float(len(triplets)))},
        )

    def validate(self, networks: Networks) -> dict[str, float]:
        """Return the accuracy on the sets' fixed validation triplets, over all and by type."""
        return triplet_accuracy(networks["dln"], self, "validation")

    def production(self, networks: Networks) -> Production:
        """Return the DLN without its crowd layer."""
        dln = networks["dln"]
        return Production(network=dln, config={"network": self.recipe.network}, crop=self.crop)


def balanced(classes: np.ndarray, exponent: float) -> np.ndarray:
    """Return sampling weights: 0 as they come, 1 every class equally often."""
    frequency = np.bincount(classes)[classes]
    weights: np.ndarray = 1.0 / frequency.astype(np.float64) ** exponent
    return weights


def triplet_accuracy(network: nn.Module, task: Task, split: str) -> dict[str, float]:
    """Return the accuracy on every set's fixed triplets of `split`; empty without a list."""
    found: dict[str, float] = {}
    for data in task.sets:
        triplets, faces = lists.fixed(data, split)
        if len(triplets):
            needed, where = np.unique(faces, return_inverse=True)
            vectors = outputs(network, data, needed, task.crop)["expression"]
            odd = triplets["answer"].to_numpy(dtype=np.int64)
            right = accuracy.outcomes(vectors, where.reshape(faces.shape), odd)
            found |= accuracy.accuracy(right, triplets["type"])
    return found
