"""The recipe fields that DLN and FECNet share."""

from dataclasses import dataclass, field
from typing import Any

from registry.catalog import DLN
from training.engine.optimisers import OptimiserName, ScheduleName
from training.engine.recipe import Recipe
from training.loading.augmentation import GENTLE, Augmentation
from training.models.backbones.published import IdentityWeights
from training.models.triplets.sampling import Sampling


@dataclass(frozen=True, kw_only=True)
class TripletRecipe(Recipe):
    """Learn from triplets. Optimiser and margins follow the DLN authors' later code."""

    sampling: Sampling = field(default_factory=Sampling)
    augmentation: Augmentation = field(default_factory=Augmentation)
    identity_weights: IdentityWeights | None = None
    """Face recognition weights that the backbones start from: a .safetensors or .pt file, or the
    name of published ones, downloaded once (112 or 116 MB). Without them: the shipped starter, or
    seeded random weights if no starter has the backbone's shape."""
    size_px: int = DLN.crop.size_px
    """Side of the network's input, in pixels."""
    margin: float = 0.2
    """Margin of the triplet loss for triplets of two and three emotion classes."""
    one_class_margin: float = 0.1
    """Margin of the triplet loss for triplets of one emotion class."""
    squared_distances: bool = False
    """Use squared Euclidean distances in the triplet loss, as FECNet does."""
    balance: float = 0.5
    """0 draws labelled faces as often as they occur, 1 every emotion equally often."""
    source_balance: float = 0.0
    """0 draws labelled faces as often as they occur, 1 those of every data set equally often."""
    annotated_share: float = 0.5
    """Share of a batch's faces that belong to triplets annotated by people, 0 to 1. The rest are
    labelled faces, from which triplets are sampled. Without effect if the data has only one of
    the two."""
    label_distance_weight: float = 0.0
    """Weight of a loss term that makes the distances of embeddings follow those of the faces' vote
    distributions."""
    hierarchy: float = 0.0
    """Share of the triplet loss taken from triplets at two levels, sampled by the emotion labels,
    0 to 1; see training.models.triplets.hierarchy."""
    fine_margin: float = 0.1
    """Margin for hierarchical triplets of two emotions of one group."""
    coarse_margin: float = 0.3
    """Margin for hierarchical triplets of two groups."""
    optimiser: OptimiserName = "sgd"
    schedule: ScheduleName = "cosine"
    epochs: int = 100
    learning_rate: float = 2e-3
    weight_decay: float = 5e-5


COMPACT: dict[str, Any] = {
    "size_px": 64,
    "augmentation": GENTLE,
    "batch_size": 192,
    "epochs": 6,
    "optimiser": "adamw",
    "weight_decay": 0.05,
    "averaging": 0.998,
    "sampling": Sampling(votes_drawn=20, annotator_bias=0.25),
}
"""Fields that the recipes of all compact networks share, so that they can be compared."""
SMOKE: dict[str, Any] = {
    "toy": True,
    "size_px": 48,
    "batch_size": 48,
    "epochs": 3,
    "optimiser": "adamw",
}
"""Fields of the -smoke recipes: a few seconds on drawn faces."""
