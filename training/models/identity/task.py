"""Distilling a compact identity network."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from registry.crops import CropSpec
from registry.measurements import Measurement
from training.engine.inference import outputs
from training.engine.optimisers import optimisation
from training.engine.task import (
    Batch,
    Networks,
    Optimisation,
    SummaryRow,
    Task,
    TrainedModel,
    Update,
)
from training.loading.batches import Faces, batches
from training.metrics.verification import verification_auc
from training.models.identity.config import IdentityRecipe
from training.models.identity.teacher import teacher_embeddings


class IdentityTask(Task):
    """Trains a student whose unit vectors approach the teacher's."""

    spec = None
    recipe: IdentityRecipe

    def __init__(self, recipe: IdentityRecipe) -> None:
        super().__init__(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=recipe.backbone.margin)

    @cached_property
    def student(self) -> nn.Module:
        """The network in training, with seeded random weights."""
        torch.manual_seed(self.recipe.seed)
        return self.recipe.backbone.build()

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The student."""
        return {"identity": self.student}

    def summary_rows(self) -> dict[str, SummaryRow]:
        """Return the student."""
        return {"identity network": SummaryRow(self.recipe.backbone.build(), self.example())}

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return the student's optimiser."""
        recipe = self.recipe
        parameters = self.student.parameters()
        return {
            "identity": optimisation(recipe, parameters, steps, recipe.optimiser, recipe.schedule)
        }

    @cached_property
    def faces(self) -> Faces:
        """The training faces with the teacher's vectors; labels aren't used."""
        rows = [data.split("train") for data in self.sets]
        vectors = [
            teacher_embeddings(data, self.recipe.teacher)[chosen]
            for data, chosen in zip(self.sets, rows, strict=True)
        ]
        faces = Faces(self.sets, rows, self.crop, {"teacher": np.concatenate(vectors)})
        faces.keep_on_gpu(self.recipe)
        return faces

    def loader(self) -> DataLoader[Any]:
        """Return batches of faces with the teacher's vectors."""
        return batches(self.faces, size=self.recipe.batch_size, workers=self.recipe.workers)

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the update of the loss 1 - cosine between student and teacher."""
        pictures = self.faces.pictures_of(batch)
        faces = self.recipe.augmentation(pictures).to(memory_format=torch.channels_last)
        cosine = (networks["identity"](faces).float() * batch["teacher"]).sum(1)
        yield Update(optimiser="identity", loss=(1 - cosine).mean())

    def validate(self, networks: Networks) -> list[Measurement]:
        """Return each set's mean cosine to the teacher, and the verification AUC of both."""
        measured: list[Measurement] = []
        for data in self.sets:
            rows = data.split("validation")
            if len(rows):
                vectors = outputs(networks["identity"], data, rows, self.crop)["out"]
                teacher = teacher_embeddings(data, self.recipe.teacher)[rows]
                values = {
                    "cosine": float((vectors * teacher).sum(1).mean()),
                    "verification_auc": verification_auc(vectors, data, rows),
                    "teacher_verification_auc": verification_auc(teacher, data, rows),
                }
                measured += [
                    Measurement(split="validation", set=data.name, metric=name, value=value)
                    for name, value in values.items()
                    if value is not None
                ]
        return measured

    def export(self, networks: Networks) -> TrainedModel:
        """Return the student; it is never registered alone, other networks contain it."""
        return TrainedModel(
            network=networks["identity"],
            config={"backbone": self.recipe.backbone},
            crop=self.crop,
        )
