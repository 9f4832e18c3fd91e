"""What can be said about any training on triplets; DLN and FECNet have it in common."""

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
    """Face recognition weights the branches start from: a .safetensors or .pt file, or published
    ones by their name, fetched once (112 or 116 MB); else the shipped starter, or seeded random
    weights where no starter has the backbone's shape."""
    size_px: int = DLN.crop.size_px
    """Side of the crops the network sees."""
    margin: float = 0.2
    """Least lead of a pair over the odd one, for two and three classes."""
    one_class_margin: float = 0.1
    """The same where all three show one emotion."""
    squared_distances: bool = False
    """Compare squared distances, as FECNet does, instead of plain ones."""
    balance: float = 0.5
    """0 draws faces as they come, 1 every emotion equally often."""
    source_balance: float = 0.0
    """The same for the sets: 0 as large as they are, 1 each equally often."""
    annotated_share: float = 0.5
    """Of a step's faces, how many come in threes that a set's own annotators judged; the rest are
    labelled faces, from which triplets are drawn. Where data has only one of them, all are such."""
    label_distance_weight: float = 0.0
    """Weight of a loss that puts labelled faces as far apart as their votes are."""
    hierarchy: float = 0.0
    """Share of the loss that comes from triplets at two levels, drawn from the emotion labels: see
    training.models.triplets.hierarchy."""
    fine_margin: float = 0.1
    """Least lead there of a pair of one emotion over another emotion of its group."""
    coarse_margin: float = 0.3
    """The same of a pair of one group over a face of another group."""
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
    "sampling": Sampling(voters=20, annotator_bias=0.25),
    "precision": "bf16",
}
"""What every compact network has in common: they are compared with each other."""
SMOKE: dict[str, Any] = {
    "toy": True,
    "size_px": 48,
    "batch_size": 48,
    "epochs": 3,
    "optimiser": "adamw",
}
"""A try of a few seconds on drawn faces."""
