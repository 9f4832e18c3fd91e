"""The recipe that distils the identity network, and the named recipes."""

from dataclasses import dataclass, field
from pathlib import Path

from training.engine.optimisers import OptimiserName, ScheduleName
from training.engine.recipe import Recipe
from training.loading.augmentation import Augmentation
from training.models.backbones.deviation import BackboneConfig


@dataclass(frozen=True, kw_only=True)
class IdentityRecipe(Recipe):
    """Learn to output the vectors of a larger face recognition network."""

    teacher: Path | None = None
    """ONNX face recognition network: (batch, 3, 112, 112) RGB, normalised by
    ImageNet's mean and std -> (batch, 128). Without one, the teacher is the shipped compact
    network, or one with seeded random weights if none is shipped."""
    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(name="compact"))
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(rotation_degrees=8.0, erase=0.2)
    )
    size_px: int = 64
    """Side of the network's input, in pixels."""
    optimiser: OptimiserName = "adamw"
    schedule: ScheduleName = "cosine"
    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02


RECIPES = {
    "identity-compact": IdentityRecipe(),
    "identity-smoke": IdentityRecipe(toy=True, size_px=48, batch_size=48, epochs=2),
}
"""The identity branch of the shipped networks, and a smoke test of a few seconds."""
