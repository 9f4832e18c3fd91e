"""FECNet's recipe, and the named recipes."""

from dataclasses import dataclass, field

from training.models.backbones.deviation import BackboneConfig
from training.models.triplets.config import COMPACT, SMOKE, TripletRecipe


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """FECNet's shape; the defaults are the paper's numbers."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    dims: int = 16
    """Length of the expression vector."""
    reduced: int = 512
    """Channels of the 1x1 convolution before the dense block."""
    layers: int = 5
    """Layers of the dense block."""
    growth: int = 64
    """Channels each layer of the dense block adds."""
    hidden: int = 512
    """Width of the fully connected layer before the embedding."""
    dropout: float = 0.5
    """Share of that layer dropped in training."""


@dataclass(frozen=True, kw_only=True)
class FECNetRecipe(TripletRecipe):
    """Learn expression on frozen face recognition features, from triplets: the baseline."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    squared_distances: bool = True


SMALL = NetworkConfig(backbone=BackboneConfig(name="compact"), dropout=0.2)
RECIPES = {
    "fecnet": FECNetRecipe(),
    "fecnet-compact": FECNetRecipe(network=SMALL, learning_rate=4e-3, **COMPACT),
    "fecnet-smoke": FECNetRecipe(network=SMALL, **SMOKE),
}
"""FECNet on the paper's backbone, on the starters' (tuned: docs/fecnet.md), a smoke test."""
