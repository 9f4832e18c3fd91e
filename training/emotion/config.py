"""What can be said about training the emotion classifier, and the recipes we name."""

from dataclasses import dataclass, field

from registry.catalog import EMOTION
from training.augment import Augmentation
from training.backbones.deviation import BackboneConfig
from training.config import Recipe
from training.optimisation import OptimiserName, ScheduleName


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The classifier's shape; with --dln it is the DLN's."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    squash: bool = False
    """Subtract after a sigmoid, as the authors' later published code does."""


@dataclass(frozen=True, kw_only=True)
class EmotionRecipe(Recipe):
    """A DLN whose embedding makes way for a softmax layer; the paper's optimiser and schedule."""

    dln: str | None = None
    """Trained DLN to start from, such as models:/dln@production. Without one: the shipped starter,
    or seeded random weights where no starter has the backbone's shape."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    size_px: int = EMOTION.crop.size_px
    """Side of the crops the network sees."""
    class_weight: float = 1.0
    """Exponent of the cross-entropy's inverse frequency weights; 0 weighs every face the same."""
    shades: bool = False
    """Learn the whole distribution of the votes instead of the most voted emotion."""
    optimiser: OptimiserName = "sgd"
    schedule: ScheduleName = "constant"
    epochs: int = 10
    batch_size: int = 30
    learning_rate: float = 1e-3


COMPACT = EmotionRecipe(
    network=NetworkConfig(backbone=BackboneConfig(name="compact")),
    size_px=64,
    class_weight=0.0,
    shades=True,
    optimiser="adamw",
    schedule="cosine",
    epochs=8,
    batch_size=128,
    learning_rate=1e-3,
    weight_decay=0.05,
    precision="bf16",
)
SMOKE = EmotionRecipe(
    network=NetworkConfig(backbone=BackboneConfig(name="compact")),
    toy=True,
    size_px=48,
    class_weight=0.0,
    optimiser="adamw",
    epochs=3,
    batch_size=48,
)
RECIPES = {"emotion": EmotionRecipe(), "emotion-compact": COMPACT, "emotion-smoke": SMOKE}
"""The paper's classifier, the starter's, and a try of a few seconds."""
