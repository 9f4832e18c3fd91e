"""The DLN's recipe, and the named recipes."""

from dataclasses import dataclass, field, replace
from typing import Literal

from training.engine.recipe import VersionReference
from training.models.backbones.deviation import BackboneConfig, PairConfig
from training.models.backbones.mobilefacenet import FRAME_PX
from training.models.dln.crowd_layer import CrowdKind
from training.models.triplets.config import COMPACT, SMOKE, TripletRecipe


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(PairConfig):
    """The DLN's shape."""

    dims: int = 16
    """Length of the expression vector; 16 in the paper."""
    order: Literal[1, 2, 3, 4, 5] = 3
    """Highest power of the polynomial head."""


@dataclass(frozen=True, kw_only=True)
class DLNRecipe(TripletRecipe):
    """Learn expression as the deviation from identity, from triplets."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    start: VersionReference | None = None
    """Version of this backbone whose branches to start from, such as models:/emotion@production,
    instead of two equal branches with identity weights."""
    crowd: CrowdKind = "matrix"
    """What the crowd layer learns for each annotator."""
    crowd_penalty: float = 0.01
    """Weight of the mean squared distance of the annotators' weights from the identity."""


SMALL = NetworkConfig(backbone=BackboneConfig(name="compact"), flip_average=True)
MOBILEFACENET = replace(SMALL, backbone=BackboneConfig(name="mobilefacenet"))
RECIPES = {
    "dln": DLNRecipe(),
    "dln-compact": DLNRecipe(network=SMALL, learning_rate=2e-3, **COMPACT),
    "dln-mobilefacenet": DLNRecipe(
        network=MOBILEFACENET, learning_rate=1e-3, **{**COMPACT, "size_px": FRAME_PX}
    ),
    "dln-smoke": DLNRecipe(network=SMALL, **SMOKE),
}
"""The paper's network, the starter's (tuned: docs/fecnet.md), that of a MobileFaceNet, and a smoke
test of a few seconds."""
