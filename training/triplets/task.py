"""Training any embedding on triplets: the same faces, questions, loss and accuracy for all."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from registry.catalog import ModelCard
from registry.faces import CropSpec
from training.config import RecipeError
from training.feed import Faces, WeightedSampler, batches
from training.optimisation import optimisation
from training.task import Batch, Networks, Optimisation, Task, Update
from training.triplets import votes
from training.triplets.config import TripletRecipe
from training.triplets.loss import Seen, triplet_loss
from training.triplets.measures import judge


class TripletTask(Task):
    """A network, named like its card, that learns which of three faces is odd."""

    card: ModelCard
    recipe: TripletRecipe

    def __init__(self, recipe: TripletRecipe) -> None:
        super().__init__(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=self.card.crop.margin)

    @abstractmethod
    def seen(self, networks: Networks, faces: Float[Tensor, "batch 3 h w"]) -> Seen:
        """Return the faces' embeddings for the loss."""

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return one optimiser over all networks."""
        recipe = self.recipe
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        built = optimisation(recipe, parameters, steps, recipe.optimiser, recipe.schedule)
        return {self.card.name: built}

    def loader(self) -> DataLoader[Any]:
        """Return batches of faces with their vote distributions.

        Raises:
            RecipeError: the training split has fewer than three labelled faces.
        """
        rows, opinions = [], []
        for data in self.sets:
            train = data.split("train")
            chosen = train[votes.is_clear(data.index)[train]]
            rows.append(chosen)
            opinions.append(votes.counts(data.index)[chosen])
        said = np.concatenate(opinions)
        if len(said) < 3:
            raise RecipeError("Triplets are made of labelled faces; the training split has none.")
        targets = {"shares": votes.shares(said), "single": said.sum(1) <= 1}
        faces = Faces(self.sets, rows, self.crop, targets)
        sampler = WeightedSampler(balanced(said.argmax(1), self.recipe.balance), self.recipe.seed)
        return batches(
            faces, size=self.recipe.batch_size, workers=self.recipe.workers, sampler=sampler
        )

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the update for the triplets drawn from this batch."""
        recipe = self.recipe
        faces = recipe.augmentation(batch["faces"]).to(memory_format=torch.channels_last)
        triplets = recipe.sampling.draw(batch["shares"], batch["single"], recipe.seed)
        seen = self.seen(networks, faces)
        loss = triplet_loss(
            seen.embeddings.float(),
            triplets,
            recipe.margin,
            recipe.one_class_margin,
            squared=recipe.squared_distances,
        )
        counted = torch.tensor(float(len(triplets)))
        yield Update(
            optimiser=self.card.name,
            loss=loss + seen.penalty,
            metrics={"triplets": counted, "penalty": seen.penalty},
        )

    def validate(self, networks: Networks) -> dict[str, float]:
        """Return what `judge` finds on the validation faces of every set."""
        network = networks[self.card.name]
        metrics: dict[str, float] = {}
        for data in self.sets:
            measured = judge(network, data, self.crop, "validation").metrics()
            metrics |= {f"{data.name}/{key}": value for key, value in measured.items()}
        return metrics


def balanced(classes: np.ndarray, exponent: float) -> np.ndarray:
    """Return sampling weights: 0 as they come, 1 every class equally often."""
    frequency = np.bincount(classes)[classes]
    weights: np.ndarray = 1.0 / frequency.astype(np.float64) ** exponent
    return weights
