"""Training the emotion classifier."""

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional
from torch.utils.data import DataLoader

from registry import versions
from registry.catalog import EMOTION as SPEC
from registry.catalog import EMOTIONS
from registry.crops import CropSpec
from registry.measurements import Measurement
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.engine.device import constant, mean_of_processes
from training.engine.inference import GraphModule, outputs
from training.engine.optimisers import optimisation
from training.engine.recipe import RecipeError
from training.engine.task import (
    Batch,
    Networks,
    Optimisation,
    SummaryRow,
    Task,
    TrainedModel,
    Update,
)
from training.loading.batches import Faces, WeightedSampler, balanced, batches
from training.metrics.classification import emotion_metrics, fitted_prior, fitted_temperature
from training.models.backbones.pretrained import start_from, start_identity
from training.models.emotion.config import EmotionRecipe
from training.models.emotion.network import EmotionClassifier

CONTEMPT = EMOTIONS.index("contempt")


class EmotionTask(Task):
    """Trains a DLN's pair and a softmax layer to classify emotions."""

    spec = SPEC
    recipe: EmotionRecipe

    def __init__(self, recipe: EmotionRecipe) -> None:
        super().__init__(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=recipe.network.backbone.margin)
        self.in_warmup = False

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The paper's seven emotions, and contempt if the recipe and the data have it."""
        if not self.recipe.contempt:
            return EMOTIONS[:CONTEMPT]
        found = {int(e) for data in self.sets for e in data.index["emotion"].dropna().unique()}
        return EMOTIONS if CONTEMPT in found else EMOTIONS[:CONTEMPT]

    @cached_property
    def classifier(self) -> EmotionClassifier:
        """The network, its branches started from identity weights or from the recipe's version."""
        torch.manual_seed(self.recipe.seed)
        config = self.recipe.network
        classifier = EmotionClassifier(config, len(self.labels))
        start_identity(classifier.pair, config.backbone, None)
        if self.recipe.start:
            start_from(classifier, self.recipe.start)
        return classifier

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The classifier."""
        return {"emotion": self.classifier}

    def summary_rows(self) -> dict[str, SummaryRow]:
        """Return both branches, the normalisation and the softmax layer."""
        network = EmotionClassifier(self.recipe.network, len(EMOTIONS))
        face, deviation = self.example(), torch.rand(1, network.pair.width)
        return {
            "face branch": SummaryRow(network.pair.face, face),
            "identity branch (frozen)": SummaryRow(network.pair.identity, face),
            "normalisation of the deviation": SummaryRow(network.norm, deviation),
            "softmax layer": SummaryRow(network.classify, deviation),
        }

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return the classifier's optimiser."""
        recipe = self.recipe
        parameters = self.classifier.parameters()
        return {
            "emotion": optimisation(recipe, parameters, steps, recipe.optimiser, recipe.schedule)
        }

    @cached_property
    def faces(self) -> Faces:
        """The labelled training faces with their target distributions over the labels.

        Raises:
            RecipeError: no training face has a label.
        """
        rows, targets = [], []
        for data in self.sets:
            chosen = self._labelled(data, "train")
            rows.append(chosen)
            targets.append(self._targets(data, chosen))
        faces = Faces(self.sets, rows, self.crop, {"target": np.concatenate(targets)})
        if not len(faces):
            raise RecipeError("Emotions are learned from labelled faces; the data has none.")
        faces.keep_on_gpu(self.recipe)
        return faces

    def loader(self) -> DataLoader[Any]:
        """Return batches of faces with the target distribution over the labels.

        Raises:
            RecipeError: no training face has a label.
        """
        return batches(
            self.faces,
            size=self.recipe.batch_size,
            workers=self.recipe.workers,
            sampler=self._sampler(self.faces),
        )

    def _sampler(self, faces: Faces) -> WeightedSampler:
        emotions = faces.targets["target"].argmax(1).numpy()
        weights = balanced(emotions, self.recipe.balance)
        weights *= balanced(faces.sets, self.recipe.source_balance)
        return WeightedSampler(weights, self.recipe.seed)

    def _labelled(self, data: Prepared, split: str) -> np.ndarray:
        rows = data.split(split)
        emotion = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)[rows]
        labelled: np.ndarray = rows[emotion < len(self.labels)]
        return labelled

    def _targets(self, data: Prepared, rows: np.ndarray) -> Float[np.ndarray, "faces labels"]:
        """Return each face's target: its label or votes, and the teachers' mean probabilities."""
        annotated = self._annotations(data, rows)
        if not self.recipe.teachers:
            return annotated
        predicted = [
            teacher_probabilities(each, self.labels, data, rows) for each in self.recipe.teachers
        ]
        share = self.recipe.teacher_share
        mixed = (1 - share) * annotated + share * np.mean(predicted, axis=0)
        target: np.ndarray = mixed.astype(np.float32)
        return target

    def _annotations(self, data: Prepared, rows: np.ndarray) -> Float[np.ndarray, "faces labels"]:
        """Return the faces' votes as distributions, or their labels one-hot."""
        index = data.index.iloc[rows]
        if self.recipe.soft_labels:
            return votes.shares(votes.counts(index)[:, : len(self.labels)])
        emotion = index["emotion"].to_numpy(dtype=np.int64)
        one_hot: np.ndarray = np.eye(len(self.labels), dtype=np.float32)[emotion]
        return one_hot

    @cached_property
    def class_weights(self) -> tuple[float, ...]:
        """Each label's inverse frequency in the training split to the recipe's exponent, mean 1."""
        counts = [
            self._annotations(data, self._labelled(data, "train")).sum(0) for data in self.sets
        ]
        frequency = torch.from_numpy(np.sum(counts, axis=0)).clamp(min=1)
        weights = frequency**-self.recipe.class_weight
        return tuple((weights / weights.mean()).tolist())

    def begin(self, epoch: int) -> None:
        """Use `warmup_px` in the first epochs."""
        self.in_warmup = epoch < self.recipe.warmup_share * self.recipe.epochs

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the update of the class-weighted cross-entropy."""
        pictures, target = self.faces.pictures_of(batch), batch["target"]
        faces = self.recipe.augmentation(pictures)
        if self.in_warmup and self.recipe.warmup_px:
            size = (self.recipe.warmup_px, self.recipe.warmup_px)
            faces = functional.interpolate(faces, size, mode="bilinear", antialias=True)
        if self.recipe.mixup:
            faces, target = mixup(faces, target, self.recipe.mixup)
        logits = networks["emotion"](faces.to(memory_format=torch.channels_last))["logits"].float()
        weights = constant(self.class_weights, logits.device)
        yield Update(optimiser="emotion", loss=weighted_cross_entropy(logits, target, weights))

    def has_validation(self) -> bool:
        """Return whether any validation face has a label."""
        return any(len(self._labelled(data, "validation")) for data in self.sets)

    def validate(self, networks: Networks) -> list[Measurement]:
        """Return accuracy, mean recall and calibration error on each set's validation faces."""
        measured: list[Measurement] = []
        for data in self.sets:
            rows = self._labelled(data, "validation")
            if len(rows):
                values = emotion_metrics(*self._predictions(networks, data, rows))
                measured += [
                    Measurement(split="validation", set=data.name, metric=name, value=value)
                    for name, value in values.items()
                ]
        return measured

    def _predictions(
        self, networks: Networks, data: Prepared, rows: np.ndarray
    ) -> tuple[Float[Tensor, "faces labels"], Int[Tensor, "faces"]]:
        """Return the faces' logits, and their labels as numbers."""
        logits = outputs(networks["emotion"], data, rows, self.crop)["logits"]
        truth = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)[rows]
        return torch.from_numpy(logits), torch.from_numpy(truth).long()

    def export(self, networks: Networks) -> TrainedModel:
        """Return the classifier; temperature and class prior fit all sets' validation faces."""
        classifier = copy.deepcopy(networks["emotion"])
        rows = [self._labelled(data, "validation") for data in self.sets]
        predictions = [
            self._predictions(networks, data, chosen)
            for data, chosen in zip(self.sets, rows, strict=True)
            if len(chosen)
        ]
        class_prior: dict[str, float] = {}
        if predictions:
            logits, truth = (torch.cat(parts) for parts in zip(*predictions, strict=True))
            temperature = fitted_temperature(logits, truth)
            classifier.get_buffer("temperature").copy_(temperature)
            prior = fitted_prior(logits / temperature, truth)
            class_prior = dict(zip(self.labels, prior.tolist(), strict=True))
        return TrainedModel(
            network=classifier,
            config={"network": self.recipe.network, "start": self.recipe.start},
            crop=self.crop,
            labels=self.labels,
            temperature=float(classifier.get_buffer("temperature")),
            class_prior=class_prior,
        )


def teacher_probabilities(
    reference: str, labels: Sequence[str], data: Prepared, rows: np.ndarray
) -> Float[np.ndarray, "faces labels"]:
    """Return the probabilities that a registered classifier predicts for some faces.

    Raises:
        RecipeError: its labels differ from `labels`.
        RegistryError: there is no such version.
    """
    version = versions.resolve(reference)
    if tuple(version.labels) != tuple(labels):
        raise RecipeError(
            f"{version.title} has the labels {', '.join(version.labels) or 'of no emotion'}; a "
            f"teacher of this data must have {', '.join(labels)}."
        )
    logits = outputs(GraphModule(versions.load(version)), data, rows, version.crop)["logits"]
    found: np.ndarray = torch.from_numpy(logits).softmax(1).numpy()
    return found


def mixup(
    faces: Float[Tensor, "batch 3 h w"], target: Float[Tensor, "batch labels"], alpha: float
) -> tuple[Float[Tensor, "batch 3 h w"], Float[Tensor, "batch labels"]]:
    """Return each face and its target mixed with those of another face of the batch (mixup)."""
    share = float(Beta(alpha, alpha).sample())
    other = torch.randperm(len(faces), device=faces.device)
    return torch.lerp(faces[other], faces, share), torch.lerp(target[other], target, share)


def weighted_cross_entropy(
    logits: Float[Tensor, "batch labels"],
    target: Float[Tensor, "batch labels"],
    weights: Float[Tensor, "labels"],
) -> Float[Tensor, ""]:
    """Return -sum w t log p / sum w t; for one-hot targets torch's weighted cross-entropy.

    Several processes divide by the weights of all of them; see `mean_of_processes`.
    """
    weighted = weights * target
    return -(weighted * logits.log_softmax(1)).sum() / mean_of_processes(weighted.sum())
