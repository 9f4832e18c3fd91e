"""The discriminators' loss, and the end of a training in which they always win."""

import torch
from torch import nn

from training.engine.task import TrainingError, Update
from training.models.pix2pixhd import losses
from training.models.pix2pixhd.transfers import DiscriminatorBatch

WON = 1e-3
"""Loss below which the discriminators have won: the generator learns nothing from them."""
PATIENCE = 500
"""Most steps in a row that they may win."""
CHECKED = 50
"""Steps between two looks at the count, because a look waits for the GPU."""


class DiscriminatorLoss:
    """Half the least-squares loss of real and generated pictures.

    Args:
        patience: wins in a row after which the training stops.
    """

    def __init__(self, patience: int = PATIENCE) -> None:
        self.patience = patience
        self._updates = 0
        self._wins: torch.Tensor | None = None
        """Wins in a row up to now, and the most in a row there have been."""

    def update(self, discriminator: nn.Module, batch: DiscriminatorBatch) -> Update:
        """Return the discriminators' update; no gradient flows to the generator.

        Raises:
            TrainingError: they have won too often.
        """
        real = losses.adversarial(discriminator(batch.condition, batch.real), real=True)
        generated = batch.generated.detach()
        fake = losses.adversarial(discriminator(batch.condition, generated), real=False)
        self._count((real + fake).detach())
        return Update(
            optimiser="discriminator",
            loss=0.5 * (real + fake),
            metrics={"discriminator_real": real, "discriminator_fake": fake},
        )

    def _count(self, loss: torch.Tensor) -> None:
        now, most = loss.new_zeros(2) if self._wins is None else self._wins
        now = torch.where(loss < WON, now + 1, 0)
        self._wins = torch.stack([now, torch.maximum(now, most)])
        self._updates += 1
        if self._updates % min(self.patience, CHECKED) == 0 and self._wins[1] >= self.patience:
            raise TrainingError(
                f"The discriminators were right about every picture for {self.patience} steps, so "
                "the generator learns nothing from them any more. Try a lower "
                "--losses.adversarial, a later --discriminators.start-share or fewer "
                "--discriminators.channels."
            )
