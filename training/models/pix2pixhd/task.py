"""Training the generator against its discriminators."""

from collections.abc import Iterator
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from registry.catalog import EXPRESSION_DIMS
from registry.catalog import PIX2PIXHD as SPEC
from registry.crops import CropSpec
from registry.measurements import Measurement
from training.engine.device import device_of, send
from training.engine.optimisers import fused
from training.engine.recipe import Recipe, RecipeError
from training.engine.task import (
    Batch,
    Networks,
    Optimisation,
    SummaryRow,
    Task,
    TrainedModel,
    Update,
)
from training.loading.batches import WeightedSampler, batches
from training.models.pix2pixhd.blendshape_fit import FittedHead, fit_head
from training.models.pix2pixhd.conditions import ConditionBatch, ConditionSampler
from training.models.pix2pixhd.config import Pix2pixHDRecipe, check_recipe
from training.models.pix2pixhd.discriminator_loss import DiscriminatorLoss
from training.models.pix2pixhd.encoder import Encoder, encoder_of, origin
from training.models.pix2pixhd.features import with_planes
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.networks import (
    GeneratorWrapper,
    build_generator,
    build_pixel_discriminators,
    build_projected_discriminators,
)
from training.models.pix2pixhd.pair_augmentation import augment_alike, shrink
from training.models.pix2pixhd.pairs import ICT_PAIRS, Pairs
from training.models.pix2pixhd.perceptual import perceptual_network
from training.models.pix2pixhd.terms import GeneratorLoss, total
from training.models.pix2pixhd.transfers import TransferBatch, discriminator_batch
from training.models.pix2pixhd.validation import Generate, TransferValidation


class Pix2pixHDTask(Task):
    """A generator, its discriminators, and the encoder of its conditions."""

    spec = SPEC
    recipe: Pix2pixHDRecipe

    def __init__(self, recipe: Pix2pixHDRecipe) -> None:
        super().__init__(recipe)
        check_recipe(recipe)
        self.crop = CropSpec(size_px=recipe.size_px, margin=SPEC.crop.margin)
        self.discriminator_loss = DiscriminatorLoss()
        self._adversarial = False
        self._warmup_px: int | None = None

    @cached_property
    def generator(self) -> Generator:
        """The generator, initialised by the recipe's seed or its `start`."""
        return build_generator(self.recipe)

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminators, initialised by the recipe's seed + 1."""
        config = self.recipe.discriminators
        # Before the perceptual network, because building that draws random numbers too.
        torch.manual_seed(self.recipe.seed + 1)
        if config.input == "pixels":
            return build_pixel_discriminators(config)
        return build_projected_discriminators(config, self.perceptual)

    @cached_property
    def encoder(self) -> Encoder:
        """The frozen encoder, on the device of the training.

        Raises:
            RecipeError: the generator takes a condition of another length.
        """
        recipe = self.recipe
        encoder = encoder_of(recipe.encoder, self.crop, device_of(recipe), recipe.condition)
        if encoder.dims != recipe.network.dims:
            raise RecipeError(
                f"The condition of {recipe.encoder} has {encoder.dims} numbers, the generator takes"
                f" {recipe.network.dims}: use --network.dims {encoder.dims}."
            )
        return encoder

    @cached_property
    def perceptual(self) -> nn.Module | None:
        """The frozen perceptual network, on the encoder's device; None if there is none."""
        config = self.recipe.perceptual
        network = perceptual_network(config.network, config.weights, self.recipe.encoder)
        return network.to(self.encoder.device) if network else None

    @cached_property
    def generator_loss(self) -> GeneratorLoss:
        """The terms of the generator's loss."""
        return GeneratorLoss(
            weights=self.recipe.losses,
            perceptual=self.perceptual,
            encoder=self.encoder,
            window=self.recipe.discriminators.window,
        )

    @cached_property
    def pairs(self) -> Pairs:
        """The training pairs and single faces.

        Raises:
            RecipeError: there is no pair.
        """
        pairs = Pairs(self.sets, self.crop, "train")
        if not pairs.paired.any():
            raise RecipeError(
                "Expressions are transferred between two pictures of one person in one pose; the "
                "data has no such pair. Prepare rafd, london, ict-pairs, or another set that "
                "has persons and the angle of their faces."
            )
        return pairs

    @cached_property
    def conditions(self) -> ConditionSampler:
        """Draws the expression that each training face should get."""
        return ConditionSampler(
            self.sets, self.pairs, self.crop, self.encoder, self.recipe.sampling
        )

    @cached_property
    def validation(self) -> TransferValidation:
        """The validation transfers, the same in every epoch."""
        return TransferValidation.of(self.sets, "validation", self.crop)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Generator and discriminator."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def summary_rows(self) -> dict[str, SummaryRow]:
        """Return the generator, and its discriminators if their input is pixels."""
        recipe, face = self.recipe, self.example()
        change = torch.rand(1, recipe.network.dims)
        generator = Generator(recipe.network)
        if recipe.discriminators.input == "perceptual":
            note = f"its discriminators get maps of {recipe.perceptual.network} and are left out"
            return {"generator": SummaryRow(generator, (face, change), note)}
        condition = with_planes(face, torch.rand(1, EXPRESSION_DIMS))
        discriminators = build_pixel_discriminators(recipe.discriminators)
        return {
            "generator": SummaryRow(generator, (face, change)),
            "discriminators": SummaryRow(discriminators, (condition, face)),
        }

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return Adam for each side; the rate is constant, then falls evenly to 0.

        Discriminators that start late have the generator's rate at every step.
        """
        epochs = self.recipe.epochs
        skipped = steps * ceil(self.recipe.discriminators.start_share * epochs) // epochs
        return {
            "generator": _adam(self.generator, self.recipe, steps),
            "discriminator": _adam(self.discriminator, self.recipe, steps, skipped),
        }

    def loader(self) -> DataLoader[Any]:
        """Return batches of sources and targets."""
        sampling = self.recipe.sampling
        weights = self.pairs.weights(sampling.single_share)
        sampler = WeightedSampler(weights, self.recipe.seed, sampling.pairs_per_epoch)
        size, workers = self.recipe.batch_size, self.recipe.workers
        return batches(self.pairs, size=size, workers=workers, sampler=sampler)

    def begin(self, epoch: int) -> None:
        """Choose the pictures' side, and whether there are discriminators, for an epoch."""
        recipe = self.recipe
        early = epoch < recipe.warmup.share * recipe.epochs
        self._warmup_px = recipe.warmup.px if early else None
        started = epoch >= recipe.discriminators.start_share * recipe.epochs
        self._adversarial = recipe.losses.adversarial > 0 and started

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the generator's update, then the discriminators'."""
        generator = networks["generator"]
        discriminator = networks["discriminator"] if self._adversarial else None
        transfers = self._transfer(generator, batch)
        terms = list(self.generator_loss.terms(transfers, generator, discriminator))
        metrics = {term.name: term.value for term in terms} | {"mask": transfers.result.mask.mean()}
        yield Update(optimiser="generator", loss=total(terms), metrics=metrics)
        if discriminator is not None:
            shown = discriminator_batch(transfers, self.recipe.discriminators.window)
            yield self.discriminator_loss.update(discriminator, shown)

    def _transfer(self, generator: nn.Module, batch: Batch) -> TransferBatch:
        """Draw conditions and augmentation for a batch, and let the generator draw the results."""
        conditions = self._conditions(batch)
        raw = batch["source"], batch["target"], conditions.driver
        faces, points = augment_alike(self.recipe.augmentation, raw, batch.get("points"))
        if self._warmup_px:
            faces = [shrink(each, self._warmup_px) for each in faces]
        source, target, driver = faces
        return TransferBatch(
            source=source,
            target=target,
            driver=driver,
            points=points,
            change=conditions.change,
            wanted=conditions.wanted,
            known=conditions.known,
            with_truth=conditions.with_truth,
            without_truth=conditions.without_truth,
            result=generator(source, conditions.change),
        )

    def _conditions(self, batch: Batch) -> ConditionBatch:
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        sampled = self.conditions.sample(batch["index"], rng)
        return ConditionBatch(*(send(part, batch["source"].device) for part in sampled))

    def validate(self, networks: Networks) -> list[Measurement]:
        """Return each set's metrics of the validation transfers."""
        return self.validation.measurements(_generate(networks), self._encode)

    def epoch_sheet(self, networks: Networks) -> np.ndarray | None:
        """Return source, driver, result and truth of some validation transfers, HWC uint8."""
        if not (self.recipe.toy or self.recipe.log_faces):
            return None
        return self.validation.sheet(_generate(networks), self._encode)

    def _encode(self, faces: Tensor) -> dict[str, Tensor]:
        vectors: dict[str, Tensor] = self.encoder(faces.to(self.encoder.device))
        return vectors

    def export(self, networks: Networks) -> TrainedModel:
        """Return generator and encoder, and the thresholds for warnings; all on the CPU."""
        recipe, generate = self.recipe, _generate(networks)
        fitted = self._fitted_head(generate)
        head, added = (fitted.head, fitted.thresholds) if fitted else (None, {})
        encoder = encoder_of(recipe.encoder, self.crop, "cpu", recipe.condition, head)
        return TrainedModel(
            network=GeneratorWrapper(networks["generator"]),
            config={
                "network": recipe.network,
                "encoder": origin(recipe.encoder),
                "condition": recipe.condition,
            },
            crop=self.crop,
            encoder=encoder,
            thresholds=self.validation.thresholds(generate, encoder).to_dict() | added,
        )

    def _fitted_head(self, generate: Generate) -> FittedHead | None:
        """Return the head that checks results; None without MediaPipe's file, or too few faces."""
        landmarker = self.recipe.blendshapes
        if landmarker is None:
            return None
        photos = [data for data in self.sets if data.name != ICT_PAIRS]
        return fit_head(photos, self.crop, generate, self._encode, landmarker)


def _generate(networks: Networks) -> Generate:
    """Return a function from faces and changes, on any device, to the generator's pictures."""
    generator = networks["generator"]
    device = next(generator.parameters()).device

    def generate(faces: Tensor, change: Tensor) -> Tensor:
        picture: Tensor = generator(faces.to(device), change.to(device)).picture
        return picture

    return generate


def _adam(network: nn.Module, recipe: Recipe, steps: int, skipped: int = 0) -> Optimisation:
    """Return Adam for all but the first `skipped` of so many steps."""
    rate, parameters = recipe.learning_rate, network.parameters()
    optimiser = Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=fused(recipe))
    half = max(1, steps // 2)
    schedule = LambdaLR(optimiser, lambda step: min(1.0, max(0.0, (steps - skipped - step) / half)))
    return Optimisation(optimiser=optimiser, schedule=schedule)
