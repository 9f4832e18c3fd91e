"""Deviation -> emotion: the DLN's pair with a softmax layer instead of the embedding."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.models.backbones.deviation import PairConfig


class EmotionClassifier(nn.Module):
    """Face -> one logit for each label.

    As in the DLN, the deviation passes a batch normalisation first (our decision, see there). The
    logits are divided by `temperature`, which is 1 until it is fitted on validation faces.
    """

    temperature: Tensor

    def __init__(self, config: PairConfig, labels: int) -> None:
        super().__init__()
        self.pair = config.build()
        self.norm = nn.BatchNorm1d(self.pair.width)
        self.classify = nn.Linear(self.pair.width, labels)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return `logits` (batch, labels) for RGB in [0, 1]."""
        deviations = self.pair.difference(self.pair.with_mirrors(faces))
        logits = self.pair.averaged(self.classify(self.norm(deviations)))
        return {"logits": logits / self.temperature}
