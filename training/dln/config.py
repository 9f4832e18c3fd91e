"""What can be said about a DLN training, and the recipes we name."""

from dataclasses import dataclass, field
from typing import Literal

from training.backbones.deviation import BackboneConfig
from training.dln.crowd import CrowdKind
from training.triplets.config import COMPACT, SMOKE, TripletRecipe


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The DLN's shape."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    dims: int = 16
    """Length of the expression vector; 16 in the paper."""
    order: Literal[1, 2, 3, 4, 5] = 3
    """Highest power of the polynomial head."""
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


SMALL = NetworkConfig(backbone=BackboneConfig(name="compact"))
RECIPES = {
    "dln": DLNRecipe(),
    "dln-compact": DLNRecipe(network=SMALL, **COMPACT),
    "dln-smoke": DLNRecipe(network=SMALL, **SMOKE),
}
"""The paper's network, the starter's, and a try of a few seconds."""
