"""What can be said about training the emotion classifier, and the recipes we name."""

from dataclasses import dataclass, field, replace

from registry.catalog import EMOTION
from training.engine.optimisers import OptimiserName, ScheduleName
from training.engine.recipe import Recipe, VersionReference
from training.loading.augmentation import GENTLE, Augmentation
from training.models.backbones.deviation import BackboneConfig, PairConfig


@dataclass(frozen=True, kw_only=True)
class EmotionRecipe(Recipe):
    """A DLN whose embedding makes way for a softmax layer; the paper's optimiser and schedule."""

    start: VersionReference | None = None
    """Version whose branches to start from, such as models:/dln@production (the paper's way).
    Without one: the shipped identity weights in both branches, or seeded random weights where no
    starter has the backbone's shape."""
    network: PairConfig = field(default_factory=PairConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    size_px: int = EMOTION.crop.size_px
    """Side of the crops the network sees."""
    warmup_px: int | None = None
    """Side of the crops in the early epochs, smaller and therefore faster."""
    warmup_share: float = 0.8
    """Share of the epochs that are early."""
    mixup: float = 0.0
    """Both parameters of the Beta distribution that two faces are mixed by (Zhang et al., 2018)."""
    balance: float = 0.0
    """0 draws faces as they come, 1 every emotion equally often."""
    source_balance: float = 0.0
    """The same for the sets: 0 as large as they are, 1 each equally often."""
    class_weight: float = 1.0
    """Exponent of the cross-entropy's inverse frequency weights; 0 weighs every face the same."""
    contempt: bool = False
    """Name contempt too, where the data has it; the paper's seven leave it out."""
    soft_labels: bool = False
    """Learn the whole distribution of the votes instead of the most voted emotion."""
    teacher: VersionReference | None = None
    """Classifier whose answers are part of the targets, such as models:/emotion@production; other
    annotators of other sets mean other things by one word, a teacher evens them out."""
    teacher_share: float = 0.5
    """Its part of each target; the rest is what people said."""
    optimiser: OptimiserName = "sgd"
    schedule: ScheduleName = "constant"
    epochs: int = 10
    batch_size: int = 30
    learning_rate: float = 1e-3


COMPACT = EmotionRecipe(
    network=PairConfig(backbone=BackboneConfig(name="compact"), mirror=True),
    augmentation=GENTLE,
    size_px=64,
    class_weight=0.0,
    contempt=True,
    soft_labels=True,
    optimiser="adamw",
    schedule="cosine",
    epochs=5,
    batch_size=128,
    learning_rate=1e-3,
    weight_decay=0.05,
    averaging=0.998,
    precision="bf16",
)
ALONE = replace(
    COMPACT,
    network=replace(COMPACT.network, subtract=False, mirror=False),
    augmentation=Augmentation(),
    warmup_px=48,
    warmup_share=0.9,
    mixup=0.2,
    epochs=28,
    learning_rate=2e-3,
    averaging=0.999,
)
SMOKE = EmotionRecipe(
    network=PairConfig(backbone=BackboneConfig(name="compact")),
    toy=True,
    size_px=48,
    class_weight=0.0,
    contempt=True,
    optimiser="adamw",
    epochs=3,
    batch_size=48,
)
RECIPES = {
    "emotion": EmotionRecipe(),
    "emotion-compact": COMPACT,
    "emotion-alone-compact": ALONE,
    "emotion-smoke": SMOKE,
}
"""The paper's classifier, the starter's, the face branch alone, and a try of a few seconds."""
