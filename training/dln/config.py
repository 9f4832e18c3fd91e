"""What can be said about a DLN training, and the recipes we name."""

from dataclasses import dataclass, field
from pathlib import Path

from registry.catalog import DLN
from training.augment import Augmentation
from training.backbones.deviation import BackboneConfig
from training.config import Recipe
from training.optimisation import OptimiserName, ScheduleName
from training.triplets.sampling import Sampling


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The DLN's shape."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    dims: int = 16
    """Length of the expression vector; 16 in the paper."""
    order: int = 3
    """Highest power of the polynomial head."""
    squash: bool = False
    """Subtract after a sigmoid, as the authors' later published code does."""


@dataclass(frozen=True, kw_only=True)
class DLNRecipe(Recipe):
    """Learn expression from triplets. Optimiser and margins follow the authors' later code."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    sampling: Sampling = field(default_factory=Sampling)
    augmentation: Augmentation = field(default_factory=Augmentation)
    identity_weights: Path | None = None
    """Face recognition weights (.safetensors) both branches start from; else the shipped starter,
    or seeded random weights where no starter has the backbone's shape."""
    size_px: int = DLN.crop.size_px
    """Side of the crops the network sees."""
    margin: float = 0.2
    """Least lead of a pair over the odd one, for two and three classes."""
    one_class_margin: float = 0.1
    """The same where all three show one emotion."""
    balance: float = 0.5
    """0 draws faces as they come, 1 every emotion equally often."""
    optimiser: OptimiserName = "sgd"
    schedule: ScheduleName = "cosine"
    epochs: int = 100
    learning_rate: float = 2e-3
    weight_decay: float = 5e-5


COMPACT = DLNRecipe(
    network=NetworkConfig(backbone=BackboneConfig(name="compact")),
    size_px=64,
    batch_size=192,
    epochs=9,
    optimiser="adamw",
    learning_rate=1.5e-3,
    weight_decay=0.05,
    precision="bf16",
    workers=0,
)
SMOKE = DLNRecipe(
    network=NetworkConfig(backbone=BackboneConfig(name="compact")),
    toy=True,
    size_px=48,
    batch_size=48,
    epochs=3,
    optimiser="adamw",
)
RECIPES = {"dln": DLNRecipe(), "dln-compact": COMPACT, "dln-smoke": SMOKE}
"""The paper's network, the starter's, and a try of a few seconds."""
