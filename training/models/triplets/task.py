"""Training an embedding on triplets: data, loss and validation that DLN and FECNet share."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from registry.catalog import ModelSpec
from registry.crops import CropSpec
from registry.measurements import Measurement
from training.datasets import fixed_triplets
from training.datasets.prepared import Prepared
from training.engine.optimisers import optimisation
from training.engine.recipe import RecipeError
from training.engine.task import Batch, Networks, Optimisation, Task, Update
from training.loading.batches import WeightedSampler, batches
from training.metrics import identity_trials
from training.metrics.embedding import evaluate_embedding
from training.models.backbones.deviation import BackboneConfig
from training.models.triplets import hierarchy
from training.models.triplets.config import TripletRecipe
from training.models.triplets.dataset import TripletDataset, as_triplets
from training.models.triplets.loss import AnnotatorEmbeddings, label_distance_loss, triplet_loss
from training.models.triplets.sampling import Triplets, joined


class TripletTask(Task):
    """Trains a network, named like its model spec, to place the odd one of three faces far away."""

    spec: ModelSpec
    recipe: TripletRecipe

    def __init__(self, recipe: TripletRecipe) -> None:
        super().__init__(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=self.backbone.margin)

    @property
    @abstractmethod
    def backbone(self) -> BackboneConfig:
        """The recipe's backbone."""

    @abstractmethod
    def annotator_embeddings(
        self, networks: Networks, faces: Float[Tensor, "batch 3 h w"]
    ) -> AnnotatorEmbeddings:
        """Return the faces' embeddings for each annotator of `dataset`; RGB in [0, 1]."""

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return one optimiser over all networks."""
        recipe = self.recipe
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        built = optimisation(recipe, parameters, steps, recipe.optimiser, recipe.schedule)
        return {self.spec.name: built}

    @cached_property
    def dataset(self) -> TripletDataset:
        """The labelled faces and annotated triplets of the training split."""
        return TripletDataset(self.sets, self.crop, self.recipe.sampling.annotators)

    def loader(self) -> DataLoader[Any]:
        """Return batches of labelled faces and annotated triplets; see `TripletDataset`.

        Raises:
            RecipeError: the training split has neither annotated triplets nor three labelled faces.
        """
        dataset, recipe = self.dataset, self.recipe
        if len(dataset) < 3 and not len(dataset.annotated.type):
            raise RecipeError(
                "Triplets come with a set or are sampled from labelled faces; the training split "
                "has neither."
            )
        dataset.faces.keep_on_gpu(recipe)
        weights = dataset.weights(recipe.balance, recipe.source_balance, recipe.annotated_share)
        return batches(
            dataset,
            size=dataset.items_per_batch(recipe.batch_size, weights),
            workers=recipe.workers,
            sampler=WeightedSampler(weights, recipe.seed),
        )

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the update of the triplet loss and the terms that the recipe adds."""
        pictures = self.dataset.faces.pictures_of(batch)
        faces = self.recipe.augmentation(pictures).to(memory_format=torch.channels_last)
        outputs = self.annotator_embeddings(networks, faces)
        embeddings, triplets = outputs.embeddings.float(), self._triplets(batch)
        recipe = self.recipe
        margins = (recipe.one_class_margin, recipe.margin, recipe.margin)
        loss = triplet_loss(embeddings, triplets, margins, squared=recipe.squared_distances)
        if recipe.hierarchy:
            loss = torch.lerp(loss, self._hierarchy_loss(embeddings, batch), recipe.hierarchy)
        shares = _labelled(batch, "shares")
        if recipe.label_distance_weight and len(shares) > 1:
            distance_loss = label_distance_loss(embeddings[0, : len(shares)], shares)
            loss = loss + recipe.label_distance_weight * distance_loss
        count = triplets.used.sum().float()
        yield Update(
            optimiser=self.spec.name,
            loss=loss + outputs.penalty,
            metrics={"triplets": count, "penalty": outputs.penalty},
        )

    def _triplets(self, batch: Batch) -> Triplets:
        """Return the batch's triplets: sampled from its labelled faces, and annotated ones."""
        annotated = as_triplets(batch)
        shares, single_vote = (_labelled(batch, key) for key in ("shares", "single_vote"))
        if len(shares) < 3:
            return annotated
        sampled = self.recipe.sampling.draw(shares, single_vote, self.recipe.seed)
        return joined(sampled, annotated)

    def _hierarchy_loss(
        self, embeddings: Float[Tensor, "annotators faces dims"], batch: Batch
    ) -> Float[Tensor, ""]:
        shares, recipe = _labelled(batch, "shares"), self.recipe
        triplets = hierarchy.draw(embeddings[0, : len(shares)], shares)
        margins = (0.0, recipe.fine_margin, recipe.coarse_margin)
        return triplet_loss(embeddings, triplets, margins, squared=recipe.squared_distances)

    def has_validation(self) -> bool:
        """Return whether any set has validation triplets, or two pictures of one person."""
        return any(_has_validation(data) for data in self.sets)

    def validate(self, networks: Networks) -> list[Measurement]:
        """Return the metrics of `evaluate_embedding` on every set's validation faces."""
        network = networks[self.spec.name]
        return [
            row
            for data in self.sets
            for row in evaluate_embedding(network, data, self.crop, "validation").measurements()
        ]


def _has_validation(data: Prepared) -> bool:
    persons = data.index["person"].iloc[data.split("validation")].dropna()
    return bool(
        persons.duplicated().any()
        or len(fixed_triplets.answered(data, "validation")[0])
        or len(identity_trials.trials(data, "validation"))
    )


def _labelled(batch: Batch, key: str) -> Tensor:
    """Return a target of the batch's labelled faces, which come before those of the triplets."""
    values: Tensor = batch[key]
    return values[: len(batch["index"]) - batch["triplet"].numel()]
