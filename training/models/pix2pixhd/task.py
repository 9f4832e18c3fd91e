"""Training the generator against its discriminators."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from registry.catalog import EXPRESSION_DIMS
from registry.catalog import PIX2PIXHD as SPEC
from registry.faces import CropSpec
from registry.measurements import Measurement
from registry.versions import best_device
from training.engine.recipe import RecipeError
from training.engine.task import (
    Batch,
    Networks,
    Optimisation,
    SummaryRow,
    Task,
    TrainedModel,
    TrainingError,
    Update,
)
from training.loading.augmentation import warp
from training.loading.batches import WeightedSampler, batches
from training.models.pix2pixhd import losses
from training.models.pix2pixhd.conditions import ConditionBatch, ConditionSampler
from training.models.pix2pixhd.config import Pix2pixHDRecipe
from training.models.pix2pixhd.discriminator import Discriminator, ProjectedDiscriminator
from training.models.pix2pixhd.encoder import Encoder, encoder_of, origin
from training.models.pix2pixhd.generator import Generator, with_planes
from training.models.pix2pixhd.networks import GeneratorWrapper, drawn, start_from
from training.models.pix2pixhd.pairs import Pairs
from training.models.pix2pixhd.perceptual import WEIGHTS, perceptual_network, widths
from training.models.pix2pixhd.validation import TransferValidation

FOOLED = 1e-3
"""A discriminator whose loss stays below has won: the generator learns nothing from it any more."""
PATIENCE = 500
"""Steps for which that may be so."""


class Pix2pixHDTask(Task):
    """A generator, its discriminators, and what asks for an expression."""

    spec = SPEC
    recipe: Pix2pixHDRecipe

    def __init__(self, recipe: Pix2pixHDRecipe) -> None:
        super().__init__(recipe)
        network = recipe.network
        if network.enhancer == "added" and not (network.seen_px or recipe.size_px) < recipe.size_px:
            raise RecipeError(
                "An enhancer that is added draws what a smaller look leaves out: say "
                f"--network.seen-px, less than the pictures' {recipe.size_px}."
            )
        top, bottom, left, right = recipe.judged
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            raise RecipeError(
                "The discriminators' window is its top, bottom, left and right in sides of the "
                f"picture, 0 to 1, such as --judged 0.5 0.86 0.24 0.76; not {recipe.judged}."
            )
        self.crop = CropSpec(size_px=recipe.size_px, margin=SPEC.crop.margin)
        self.judged = False
        self.early = False
        self.won = 0

    @cached_property
    def generator(self) -> Generator:
        """The generator, its weights drawn as pix2pixHD draws them."""
        torch.manual_seed(self.recipe.seed)
        generator = drawn(Generator(self.recipe.network)).settled()
        if self.recipe.start:
            start_from(generator, self.recipe.start)
        return generator

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminators."""
        torch.manual_seed(self.recipe.seed + 1)
        recipe = self.recipe
        if recipe.judge_sees == "pixels":
            return drawn(self._judges_of_pixels())
        if self.perceptual is None:
            raise RecipeError(
                "Discriminators that look at perceptual maps need a network that sees them: name "
                "--perceptual-network, or say --judge-sees pixels."
            )
        seen = widths(self.perceptual)
        return ProjectedDiscriminator(self.perceptual, seen, EXPRESSION_DIMS, recipe.judge_channels)

    def _judges_of_pixels(self) -> Discriminator:
        return Discriminator(EXPRESSION_DIMS, self.recipe.judges, self.recipe.judge_channels)

    @cached_property
    def encoder(self) -> Encoder:
        """What asks for an expression, where the training computes.

        Raises:
            RecipeError: the generator takes a condition of another length.
        """
        recipe = self.recipe
        device = "cpu" if recipe.device == "cpu" else best_device()
        encoder = encoder_of(recipe.encoder, self.crop, device, recipe.condition)
        if encoder.dims != recipe.network.dims:
            raise RecipeError(
                f"The condition of {recipe.encoder} has {encoder.dims} numbers, the generator takes"
                f" {recipe.network.dims}: say --network.dims {encoder.dims}."
            )
        return encoder

    @cached_property
    def perceptual(self) -> nn.Module | None:
        """What sees whether pictures look alike; None without."""
        recipe = self.recipe
        network = perceptual_network(
            recipe.perceptual_network, recipe.perceptual_weights, recipe.encoder
        )
        return network.to(self.encoder_device) if network else None

    @property
    def encoder_device(self) -> torch.device:
        """Where the frozen networks compute."""
        return next(self.encoder.parameters()).device

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
                "knows persons and the angle they are seen from."
            )
        return pairs

    @cached_property
    def questions(self) -> ConditionSampler:
        """Who asks the training faces for which expression."""
        driven, moved = self.recipe.driven, self.recipe.moved
        return ConditionSampler(
            self.sets, self.pairs, self.crop, self.encoder, driven=driven, moved=moved
        )

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Generator and discriminator."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def summary_rows(self) -> dict[str, SummaryRow]:
        """Return the generator, and its discriminators where they see pixels."""
        recipe, face = self.recipe, self.example()
        asked = torch.rand(1, recipe.network.dims)
        generator = Generator(recipe.network)
        if recipe.judge_sees == "perceptual":
            sees = f"its discriminators see what {recipe.perceptual_network} does and are left out"
            return {"generator": SummaryRow(generator, (face, asked), sees)}
        seen = with_planes(face, torch.rand(1, EXPRESSION_DIMS))
        return {
            "generator": SummaryRow(generator, (face, asked)),
            "discriminators": SummaryRow(self._judges_of_pixels(), (seen, face)),
        }

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        """Return Adam for each side; the rate is constant, then falls evenly to 0.

        Discriminators that begin late have the generator's rate at every step.
        """
        rate, epochs = self.recipe.learning_rate, self.recipe.epochs
        late = steps * ceil(self.recipe.adversarial_from * epochs) // epochs
        return {
            "generator": _adam(self.generator, rate, steps),
            "discriminator": _adam(self.discriminator, rate, steps, late),
        }

    def loader(self) -> DataLoader[Any]:
        """Return batches of sources and targets."""
        weights = self.pairs.weights(self.recipe.single_share)
        sampler = WeightedSampler(weights, self.recipe.seed, self.recipe.pairs_per_epoch)
        size, workers = self.recipe.batch_size, self.recipe.workers
        return batches(self.pairs, size=size, workers=workers, sampler=sampler)

    def begin(self, epoch: int) -> None:
        """Let pictures be small at first, and the discriminators judge later."""
        self.early = epoch < self.recipe.warmup_share * self.recipe.epochs
        self.judged = self.recipe.adversarial > 0 and (
            epoch >= self.recipe.adversarial_from * self.recipe.epochs
        )

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        """Yield the generator's update, then the discriminators'."""
        change, wanted, known, driver = self._asked(batch)
        (source, target, driver), points = self._seen(batch, driver)
        made = networks["generator"](source, change)
        said = {"mask": made.mask.mean()}
        loss = self.recipe.anew * made.mask.mean()
        if bool(known.any()):
            said |= self._against_truth(made.picture[known], target[known], source[known])
        if self.recipe.flow and points is not None:
            away = losses.misplaced(made.flow, points[:, 0], points[:, 1])
            said["flow"] = self.recipe.flow * away
        if self.recipe.expression or self.recipe.returned:
            away = self.encoder(made.picture)["condition"] - wanted
            missed = away[:, :EXPRESSION_DIMS].square().sum(1).mean()
            said["expression"] = self.recipe.expression * missed
        if self.recipe.returned and not bool(known.all()):
            back = (-change - away.detach())[~known]
            said |= self._returned(networks, made.picture[~known].detach(), back, source[~known])
        if self.judged:
            rows, shown = known[:, None, None, None], slice(EXPRESSION_DIMS)
            condition = torch.where(
                rows,
                with_planes(source * 2 - 1, change[:, shown]),
                with_planes(torch.zeros_like(source), wanted[:, shown]),
            )
            real = torch.where(rows, target, driver)
            condition, picture, real = map(self._window, (condition, made.picture, real))
            said |= self._judged(networks, condition, picture, real, known)
        terms = [value for name, value in said.items() if name != "mask"]
        yield Update(optimiser="generator", loss=loss + sum(terms), metrics=said)
        if self.judged:
            yield self._judge(networks, condition, picture.detach(), real)

    def _seen(self, batch: Batch, driver: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Return sources, targets, drivers and points, done to all alike what a camera may do."""
        augmentation, seed = self.recipe.augmentation, int(torch.randint(2**31, ()))
        faces = [each.float() / 255 for each in (batch["source"], batch["target"], driver)]
        placement = augmentation.draw_placement(faces[0])
        seen = []
        for each in faces:
            torch.manual_seed(seed)
            seen.append(augmentation.relight(augmentation.lower_resolution(warp(each, placement))))
        points = batch.get("points")
        if points is not None:
            offset = points - placement[:, None, None, :, 2]
            points = offset @ torch.linalg.inv(placement[:, None, :, :2]).mT
        if self.early and self.recipe.warmup_px:
            side = (self.recipe.warmup_px, self.recipe.warmup_px)
            seen = [
                functional.interpolate(each, side, mode="bilinear", antialias=True) for each in seen
            ]
        return seen, points

    def _asked(self, batch: Batch) -> ConditionBatch:
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        asked = self.questions.ask(batch["index"].cpu().numpy(), rng)
        return ConditionBatch(*(part.to(batch["source"].device) for part in asked))

    def _against_truth(self, picture: Tensor, target: Tensor, source: Tensor) -> dict[str, Tensor]:
        recipe, said = self.recipe, {}
        if recipe.pixels:
            away = losses.pixels(picture, target, source, recipe.changed)
            said["pixels"] = recipe.pixels * away
        if self.perceptual is not None and recipe.perceptual:
            with torch.no_grad():
                real = self.perceptual(target)
            said["perceptual"] = recipe.perceptual * losses.perceptual(
                self.perceptual(picture), real, WEIGHTS
            )
        return said

    def _returned(
        self, networks: Networks, picture: Tensor, change: Tensor, own: Tensor
    ) -> dict[str, Tensor]:
        """Return how far from the real faces the way back from generated ones ends."""
        back = networks["generator"](picture, change).picture
        missed = self._against_truth(back, own, picture)
        return {f"returned_{name}": self.recipe.returned * v for name, v in missed.items()}

    def _window(self, pictures: Tensor) -> Tensor:
        """Return the part of pictures that the discriminators see."""
        sides = pictures.shape[2], pictures.shape[2], pictures.shape[3], pictures.shape[3]
        edges = zip(self.recipe.judged, sides, strict=True)
        top, bottom, left, right = (round(edge * side) for edge, side in edges)
        return pictures[..., top:bottom, left:right]

    def _judged(
        self, networks: Networks, condition: Tensor, picture: Tensor, real: Tensor, known: Tensor
    ) -> dict[str, Tensor]:
        """Return what the discriminators make of pictures, for the generator to learn from.

        Our decision: a picture without a truth is judged without its source, by whether it could be
        anybody's who shows what was wanted, such as the driver.
        """
        judges = networks["discriminator"]
        seen = judges(condition, picture)
        said = {"adversarial": self.recipe.adversarial * losses.adversarial(seen, real=True)}
        if bool(known.any()):
            with torch.no_grad():
                true = judges(condition[known], real[known])
            mine = [[maps[known] for maps in each] for each in seen]
            matching = losses.feature_matching(mine, true)
            said["feature_matching"] = self.recipe.feature_matching * matching
        return said

    def _judge(
        self, networks: Networks, condition: Tensor, picture: Tensor, truth: Tensor
    ) -> Update:
        """Return the discriminators' update.

        Raises:
            TrainingError: they have told real from generated without fail for too long.
        """
        judges = networks["discriminator"]
        real = losses.adversarial(judges(condition, truth), real=True)
        fake = losses.adversarial(judges(condition, picture), real=False)
        self.won = self.won + 1 if float((real + fake).detach()) < FOOLED else 0
        if self.won >= PATIENCE:
            raise TrainingError(
                f"The discriminators have told every picture for {PATIENCE} steps, so the generator"
                " learns nothing from them any more. Try a lower --adversarial, a later "
                "--adversarial-from or fewer --judge-channels."
            )
        return Update(
            optimiser="discriminator",
            loss=0.5 * (real + fake),
            metrics={"discriminator_real": real, "discriminator_fake": fake},
        )

    @cached_property
    def trials(self) -> TransferValidation:
        """The transfers between validation faces that every epoch is judged by."""
        device = next(self.encoder.parameters()).device
        return TransferValidation.of(self.sets, "validation", self.crop, device=device)

    def validate(self, networks: Networks) -> list[Measurement]:
        """Return each set's receipts and similarity to the truth on the fixed validation trials."""
        measured = self.trials.measure(_pictures(networks), self.encoder)
        parts = [(*name.split("/", 1), value) for name, value in measured.items()]
        return [
            Measurement(split="validation", set=of_set, metric=metric, value=value)
            for of_set, metric, value in parts
        ]

    def epoch_sheet(self, networks: Networks) -> np.ndarray | None:
        """Return source, driver, result and truth of some trials, HWC uint8."""
        if not (self.recipe.toy or self.recipe.log_faces):
            return None
        return self.trials.sheet(_pictures(networks), self.encoder)

    def export(self, networks: Networks) -> TrainedModel:
        """Return generator and encoder, and from when on an answer is worth a warning."""
        recipe = self.recipe
        encoder = encoder_of(recipe.encoder, self.crop, "cpu", recipe.condition)
        trials = replace(self.trials, device=next(encoder.parameters()).device)
        return TrainedModel(
            network=GeneratorWrapper(networks["generator"]),
            config={
                "network": recipe.network,
                "encoder": origin(recipe.encoder),
                "condition": recipe.condition,
            },
            crop=self.crop,
            encoder=encoder,
            thresholds=trials.thresholds(_pictures(networks), encoder),
        )


def _pictures(networks: Networks) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what makes pictures of faces and changes of expression."""
    return lambda faces, change: networks["generator"](faces, change).picture


def _adam(network: nn.Module, rate: float, steps: int, late: int = 0) -> Optimisation:
    """Return Adam for all but the first `late` of so many steps."""
    optimiser = Adam(network.parameters(), lr=rate, betas=(0.5, 0.999))
    half = max(1, steps // 2)
    schedule = LambdaLR(optimiser, lambda step: min(1.0, max(0.0, (steps - late - step) / half)))
    return Optimisation(optimiser=optimiser, schedule=schedule)
