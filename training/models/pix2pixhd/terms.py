"""The generator's loss: a sum of named terms, each with its weight."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.models.pix2pixhd import losses
from training.models.pix2pixhd.config import LossWeights, Window
from training.models.pix2pixhd.encoder import Encoder
from training.models.pix2pixhd.perceptual import WEIGHTS
from training.models.pix2pixhd.transfers import (
    DiscriminatorBatch,
    TransferBatch,
    discriminator_batch,
)

Scalar = Float[Tensor, ""]


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """One part of the loss."""

    name: str
    """The metric's name."""
    value: Scalar
    """The weighted value."""


def total(terms: Sequence[Term]) -> Scalar:
    """Return the sum of at least one term."""
    return reduce(torch.add, (term.value for term in terms))


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratorLoss:
    """Computes the terms; those of weight 0 add nothing, and most of them are left out."""

    weights: LossWeights
    perceptual: nn.Module | None
    """The perceptual network; None for no perceptual loss."""
    encoder: Encoder
    window: Window
    """Score window of the discriminators."""

    def terms(
        self, batch: TransferBatch, generator: nn.Module, discriminator: nn.Module | None
    ) -> Iterator[Term]:
        """Yield the terms of a batch.

        Args:
            batch: faces, conditions and the generator's result.
            generator: computes the way back.
            discriminator: None in epochs without discriminators.
        """
        yield from self._truth(batch)
        yield from self._flow(batch)
        yield from self._expression_and_cycle(batch, generator)
        if discriminator is not None:
            shown = discriminator_batch(batch, self.window)
            yield from self._adversarial(discriminator, shown, batch.with_truth)
        yield Term(name="mask_penalty", value=self.weights.mask * batch.result.mask.mean())

    def _truth(self, batch: TransferBatch) -> Iterator[Term]:
        """Yield the distances to the truth, if there is one."""
        known = batch.with_truth
        if len(known):
            picture = batch.result.picture[known]
            yield from self._likeness(picture, batch.target[known], batch.source[known])

    def _likeness(self, picture: Tensor, truth: Tensor, source: Tensor) -> Iterator[Term]:
        """Yield the distances of pictures to others in pixels and perceptual maps."""
        weights = self.weights
        if weights.pixels:
            error = losses.pixels(picture, truth, source, weights.changed_share)
            yield Term(name="pixels", value=weights.pixels * error)
        if self.perceptual is not None and weights.perceptual:
            with torch.no_grad():
                real = self.perceptual(truth)
            error = losses.perceptual(self.perceptual(picture), real, WEIGHTS)
            yield Term(name="perceptual", value=weights.perceptual * error)

    def _flow(self, batch: TransferBatch) -> Iterator[Term]:
        if self.weights.flow and batch.points is not None:
            source, target = batch.points[:, 0], batch.points[:, 1]
            error = losses.flow_error(batch.result.flow, source, target)
            yield Term(name="flow", value=self.weights.flow * error)

    def _expression_and_cycle(self, batch: TransferBatch, generator: nn.Module) -> Iterator[Term]:
        """Yield the distance to the wanted expression, and those of the way back."""
        weights = self.weights
        if not (weights.expression or weights.cycle):
            return
        difference = self.encoder(batch.result.picture)["condition"] - batch.wanted
        if weights.expression:
            error = losses.expression(difference)
            yield Term(name="expression", value=weights.expression * error)
        if weights.cycle and len(batch.without_truth):
            yield from self._cycle(batch, generator, difference.detach())

    def _cycle(
        self, batch: TransferBatch, generator: nn.Module, difference: Tensor
    ) -> Iterator[Term]:
        """Yield the distances to the sources after the results got the sources' expressions again.

        Args:
            batch: only its faces without a truth are used.
            generator: computes the way back.
            difference: the results' conditions minus the wanted ones.
        """
        unknown = batch.without_truth
        result, source = batch.result.picture[unknown].detach(), batch.source[unknown]
        back = generator(result, (-batch.change - difference)[unknown]).picture
        for term in self._likeness(back, source, result):
            yield Term(name=f"cycle_{term.name}", value=self.weights.cycle * term.value)

    def _adversarial(
        self, discriminator: nn.Module, batch: DiscriminatorBatch, known: Tensor
    ) -> Iterator[Term]:
        """Yield the GAN loss, and the distance of the discriminators' maps to those of a truth."""
        maps = discriminator(batch.condition, batch.generated)
        error = losses.adversarial(maps, real=True)
        yield Term(name="adversarial", value=self.weights.adversarial * error)
        if len(known):
            with torch.no_grad():
                real = discriminator(batch.condition[known], batch.real[known])
            generated = [[layer[known] for layer in scale] for scale in maps]
            error = losses.feature_matching(generated, real)
            yield Term(name="feature_matching", value=self.weights.feature_matching * error)
