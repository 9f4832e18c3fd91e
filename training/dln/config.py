"""What can be said about a DLN training, and the recipes we name."""

from dataclasses import dataclass, field

from training.backbones.deviation import BackboneConfig
from training.dln.crowd import CrowdKind
from training.triplets.config import TripletRecipe


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The DLN's shape."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    dims: int = 16
    """Length of the expression vector; 16 in the paper."""
    order: int = 3
    """Highest power of the polynomial head, 1 to 5."""
    squash: bool = False
    """Subtract after a sigmoid, as the authors' later published code does."""


@dataclass(frozen=True, kw_only=True)
class DLNRecipe(TripletRecipe):
    """Learn expression as the deviation from identity, from triplets."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    crowd: CrowdKind = "matrix"
    """What the crowd layer gives each annotator."""
    crowd_penalty: float = 0.01
    """Weight of the annotators' mean squared distance from everybody's own view."""


COMPACT = DLNRecipe(
    network=NetworkConfig(backbone=BackboneConfig(name="compact")),
    size_px=64,
    batch_size=192,
    epochs=9,
    optimiser="adamw",
    learning_rate=1.5e-3,
    weight_decay=0.05,
    precision="bf16",
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
