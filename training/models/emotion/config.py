"""The emotion classifier's recipe, and the named recipes."""

from dataclasses import dataclass, field, replace

from registry.catalog import EMOTION
from training.engine.optimisers import OptimiserName, ScheduleName
from training.engine.recipe import Recipe, VersionReference
from training.loading.augmentation import GENTLE, Augmentation
from training.models.backbones.deviation import BackboneConfig, PairConfig
from training.models.backbones.mobilefacenet import FRAME_PX


@dataclass(frozen=True, kw_only=True)
class EmotionRecipe(Recipe):
    """A DLN with a softmax layer instead of its embedding; the paper's optimiser and schedule."""

    start: VersionReference | None = None
    """Version whose branches to start from, such as models:/dln@production, as the paper does.
    Without one: the shipped identity weights in both branches, or seeded random weights if no
    starter has the backbone's shape."""
    network: PairConfig = field(default_factory=PairConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    size_px: int = EMOTION.crop.size_px
    """Side of the network's input, in pixels."""
    warmup_px: int | None = None
    """Side of the input in the first epochs, smaller and therefore faster; None: `size_px`."""
    warmup_share: float = 0.8
    """Share of the epochs that use `warmup_px`, 0 to 1."""
    mixup: float = 0.0
    """Mixup's alpha: two faces are mixed by a share drawn from Beta(alpha, alpha); 0 turns it off
    (Zhang et al., 2018)."""
    balance: float = 0.0
    """0 draws faces as often as they occur, 1 every emotion equally often."""
    source_balance: float = 0.0
    """0 draws faces as often as they occur, 1 those of every data set equally often."""
    class_weight: float = 1.0
    """Exponent of the cross-entropy's inverse frequency weights; 0 gives all faces equal weight."""
    contempt: bool = False
    """Add contempt to the paper's seven labels, if the data has it."""
    soft_labels: bool = False
    """Use the distribution of the votes as target instead of the most voted emotion."""
    teachers: tuple[VersionReference, ...] = ()
    """Registered classifiers whose mean probabilities are part of the targets, such as
    models:/emotion@production; they reduce the differences between annotators of different sets.
    Several are an ensemble that is distilled (Hinton et al., 2015)."""
    teacher_share: float = 0.5
    """Share of the teachers in each target, 0 to 1; the rest is the label or the votes."""
    optimiser: OptimiserName = "sgd"
    schedule: ScheduleName = "constant"
    epochs: int = 10
    batch_size: int = 30
    learning_rate: float = 1e-3


COMPACT = EmotionRecipe(
    network=PairConfig(backbone=BackboneConfig(name="compact"), flip_average=True),
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
)
ALONE = replace(
    COMPACT,
    network=replace(COMPACT.network, subtract=False, flip_average=False),
    augmentation=Augmentation(),
    warmup_px=48,
    warmup_share=0.9,
    mixup=0.2,
    epochs=28,
    learning_rate=2e-3,
    averaging=0.999,
)
MOBILEFACENET = replace(
    COMPACT,
    network=PairConfig(
        backbone=BackboneConfig(name="mobilefacenet"), subtract=False, flip_average=True
    ),
    size_px=FRAME_PX,
    balance=0.2,
    source_balance=0.2,
    epochs=7,
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
    "emotion-mobilefacenet": MOBILEFACENET,
    "emotion-smoke": SMOKE,
}
"""The paper's classifier, a compact one, its face branch alone, the starter's, a smoke test."""
