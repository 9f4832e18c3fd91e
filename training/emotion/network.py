"""Deviation -> emotion: the DLN's pair with a softmax layer in place of the embedding."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.backbones.deviation import DeviationPair
from training.emotion.config import NetworkConfig


class EmotionClassifier(nn.Module):
    """Face -> one logit for each label.

    Like the DLN's, the deviation is normalised over the batch first (our decision, see there).
    Logits are divided by `temperature`, which is 1 until it is fitted on validation faces.
    """

    temperature: Tensor

    def __init__(self, config: NetworkConfig, labels: int) -> None:
        super().__init__()
        self.pair = DeviationPair(config.backbone.build(), config.backbone.build(), config.squash)
        self.pair.identity.load_state_dict(self.pair.face.state_dict())
        self.norm = nn.BatchNorm1d(self.pair.width)
        self.classify = nn.Linear(self.pair.width, labels)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, faces: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        """Return `logits` (batch, labels) for RGB in [0, 1]."""
        logits = self.classify(self.norm(self.pair(faces).difference))
        return {"logits": logits / self.temperature}
