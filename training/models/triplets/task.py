"""Training any embedding on triplets: the same faces, questions, loss and accuracy for all."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from registry.catalog import ModelSpec
from registry.faces import CropSpec
from registry.measurements import Measurement
from training.engine.optimisers import optimisation
from training.engine.recipe import RecipeError
from training.engine.task import Batch, Networks, Optimisation, Task, Update
from training.loading.batches import WeightedSampler, batches
from training.metrics.embedding import evaluate_embedding
from training.models.triplets import hierarchy
from training.models.triplets.config import TripletRecipe
from training.models.triplets.dataset import TripletDataset, as_triplets
from training.models.triplets.loss import AnnotatorEmbeddings, label_distance_loss, triplet_loss
from training.models.triplets.sampling import Triplets, joined


class TripletTask(Task):
    """A network, named like its card, that learns which of three faces is odd."""

    spec: ModelSpec
    recipe: TripletRecipe

    def __init__(self, recipe: TripletRecipe) -> None:
        super().__init__(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=self.spec.crop.margin)

    @abstractmethod
    def seen(self, networks: Networks, faces: Float[Tensor, "batch 3 h w"]) -> AnnotatorEmbeddings:
        """Return the faces' embeddings for the loss."""

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return one optimiser over all networks."""
        recipe = self.recipe
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        built = optimisation(recipe, parameters, steps, recipe.optimiser, recipe.schedule)
        return {self.spec.name: built}

    @cached_property
    def material(self) -> TripletDataset:
        """What the training split holds to learn from."""
        return TripletDataset(self.sets, self.crop, self.recipe.sampling.annotators)

    def loader(self) -> DataLoader[Any]:
        """Return batches of labelled faces and of threes that annotators judged.

        Raises:
            RecipeError: the training split has neither judged threes nor three labelled faces.
        """
        material, recipe = self.material, self.recipe
        if len(material) < 3 and not len(material.threes.kind):
            raise RecipeError(
                "Triplets come with a set or are made of labelled faces; the training split has "
                "none of either."
            )
        weights = material.weights(recipe.balance, recipe.source_balance, recipe.annotated_share)
        return batches(
            material,
            size=material.items(recipe.batch_size, weights),
            workers=recipe.workers,
            sampler=WeightedSampler(weights, recipe.seed),
        )

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the update for the triplets drawn from this batch."""
        faces = self.recipe.augmentation(batch["faces"]).to(memory_format=torch.channels_last)
        seen = self.seen(networks, faces)
        embeddings, triplets = seen.embeddings.float(), self._triplets(batch)
        recipe = self.recipe
        margins = (recipe.one_class_margin, recipe.margin, recipe.margin)
        loss = triplet_loss(embeddings, triplets, margins, squared=recipe.squared_distances)
        if recipe.hierarchy:
            loss = torch.lerp(loss, self._hierarchical(embeddings, batch), recipe.hierarchy)
        shares = _labelled(batch, "shares")
        if recipe.label_distance_weight and len(shares) > 1:
            votes_loss = label_distance_loss(embeddings[0, : len(shares)], shares)
            loss = loss + recipe.label_distance_weight * votes_loss
        counted = torch.tensor(float(len(triplets)))
        yield Update(
            optimiser=self.spec.name,
            loss=loss + seen.penalty,
            metrics={"triplets": counted, "penalty": seen.penalty},
        )

    def _triplets(self, batch: Batch) -> Triplets:
        """Return what annotators said about the batch: named ones, and simulated ones."""
        said = as_triplets(*(batch[key] for key in ("three", "annotator", "answer", "kind")))
        shares, single = (_labelled(batch, key) for key in ("shares", "single"))
        if len(shares) < 3:
            return said
        return joined(self.recipe.sampling.draw(shares, single, self.recipe.seed), said)

    def _hierarchical(
        self, embeddings: Float[Tensor, "annotators faces dims"], batch: Batch
    ) -> Float[Tensor, ""]:
        shares, recipe = _labelled(batch, "shares"), self.recipe
        triplets = hierarchy.draw(embeddings[0, : len(shares)], shares)
        margins = (0.0, recipe.fine_margin, recipe.coarse_margin)
        return triplet_loss(embeddings, triplets, margins, squared=recipe.squared_distances)

    def validate(self, networks: Networks) -> list[Measurement]:
        """Return what `evaluate_embedding` finds on the validation faces of every set."""
        network = networks[self.spec.name]
        rows: list[Measurement] = []
        for data in self.sets:
            measured = evaluate_embedding(network, data, self.crop, "validation").metrics()
            rows += [
                Measurement(split="validation", set=data.name, metric=key, value=value)
                for key, value in measured.items()
            ]
        return rows


def _labelled(batch: Batch, key: str) -> Tensor:
    """Return what is known of the labelled faces, which come first."""
    return batch[key][: len(batch["faces"]) - batch["three"].numel()]
