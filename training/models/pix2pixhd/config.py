"""The recipe of a generator's training, and the named recipes."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from registry.catalog import PIX2PIXHD
from registry.landmarks import blendshapes
from training.engine.recipe import Recipe, RecipeError, VersionReference
from training.loading.augmentation import Augmentation
from training.models.pix2pixhd.encoder import Condition
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.perceptual import PerceptualName

Window = tuple[float, float, float, float]
"""Top, bottom, left and right edge of a part of a picture, in sides of the picture, 0 to 1."""

MIRRORED = Augmentation(
    rotation_degrees=0.0, scale=0.0, shift=0.0, light=0.0, gamma=0.0, blur=0.0, jpeg=0.0, noise=0.0,
    grey=0.0, erase=0.0,
)  # fmt: skip
"""The augmentation of pix2pixHD: only mirror images."""
CAMERAS = replace(
    MIRRORED,
    rotation_degrees=8.0,
    scale=0.08,
    shift=0.04,
    light=0.2,
    gamma=0.3,
    blur=0.2,
    grey=0.25,
)


@dataclass(frozen=True, kw_only=True)
class WarmupConfig:
    """Smaller and therefore faster pictures in the first epochs; our addition."""

    px: int | None = None
    """Side of the pictures in these epochs; None for no warm-up."""
    share: float = 0.8
    """Share of the epochs, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """The discriminators, and their input."""

    count: int = 2
    """Number of discriminators of pixels, each at half the side of the one before. With
    perceptual maps there is always one for each map."""
    channels: int = 64
    """Channels of a discriminator's first layer."""
    input: Literal["pixels", "perceptual"] = "pixels"
    """The picture itself, or the maps of the perceptual network, from which discriminators learn
    within hundreds of steps what a mouth is; our addition (docs/generator.md)."""
    window: Window = (0.0, 1.0, 0.0, 1.0)
    """The score window: top, bottom, left and right of the part they get, in sides of the picture;
    our addition: a mouth is only 3 % of a face."""
    start_share: float = 0.0
    """Share of the epochs at the start that have no discriminators, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig:
    """The frozen network whose feature maps are compared, and may be the discriminators' input."""

    network: PerceptualName = "vgg19"
    """`vgg19` and `squeezenet` were trained on ImageNet; `identity` is the DLN's frozen branch,
    unless that was distilled from the network that evaluates the results."""
    weights: Path | None = None
    """File of its weights. vgg19's are fetched by default; squeezenet needs one."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the generator's losses; a loss of weight 0 adds nothing."""

    adversarial: float = 1.0
    """Weight of the least-squares GAN loss; 0 trains without discriminators."""
    feature_matching: float = 10.0
    """Weight of the L1 distance of the discriminators' feature maps to those of the truth."""
    perceptual: float = 10.0
    """Weight of the L1 distance of the perceptual network's maps to those of the truth."""
    pixels: float = 0.0
    """Weight of the L1 distance of the pixels to the truth; our addition."""
    changed_share: float = 0.0
    """Share of the pixel loss, 0 to 1, in which a pixel weighs in proportion to how much the truth
    differs from the source there; in the rest all pixels weigh the same."""
    flow: float = 0.0
    """Weight of the L1 distance of the warp to the true motion of rendered points; our addition."""
    expression: float = 0.0
    """Weight of the squared distance of the result's expression to the driver's; our addition."""
    cycle: float = 0.0
    """Weight of the cycle loss, for faces without a truth; our addition. The result gets the
    source's expression again, and the pixel and perceptual losses compare that with the source. No
    gradient flows through the result, so that nothing of the source can be hidden in it."""
    mask: float = 0.0
    """Weight of the mask's mean, so that pixels stay the source's where possible; our addition."""


@dataclass(frozen=True, kw_only=True)
class PairSampling:
    """Which pairs and single faces are drawn, and whose expression they get."""

    single_share: float = 0.0
    """Share of single faces among all drawn, 0 to 1; the others are pairs of one session."""
    unpaired_share: float = 0.0
    """Share of the single faces that get another person's expression, without a truth; the others
    get their own and should not change."""
    cross_driver_share: float = 0.0
    """Share of the pairs whose driver is another person with the target's expression."""
    pairs_per_epoch: int | None = None
    """Pairs and single faces drawn in an epoch, every set equally often; None: the number that
    exists."""


@dataclass(frozen=True, kw_only=True)
class Pix2pixHDRecipe(Recipe):
    """pix2pixHD between two faces of one person; its losses, optimiser and schedule.

    The paper of the DLN states neither the pictures' size nor how the expression is fed in: 256 px
    and planes are our decision.
    """

    encoder: VersionReference = "dln@production"
    """Version of dln that computes the expression vectors; it becomes part of the version."""
    condition: Condition = "expression"
    """The vector whose change the generator gets; `network.dims` is its length."""
    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    start: VersionReference | None = None
    """Version of pix2pixhd to start from, such as pix2pixhd/1; an enhancer may be put around it,
    and its condition may grow longer."""
    augmentation: Augmentation = MIRRORED
    """Random changes, the same for all faces of a pair."""
    size_px: int = PIX2PIXHD.crop.size_px
    """Side of the pictures."""
    warmup: WarmupConfig = field(default_factory=WarmupConfig)
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    sampling: PairSampling = field(default_factory=PairSampling)
    blendshapes: Path | None = None
    """MediaPipe's face_landmarker_v2_with_blendshapes.task: at the end a head of the encoder is
    fitted to its blendshapes, by which the page warns of results. None: it warns by the encoder's
    expressions, which finds fewer (docs/generator.md)."""
    log_faces: bool = True
    """Put a sheet of results into MLflow after each epoch although it shows persons: people have to
    look at a generator's results."""
    epochs: int = 200
    """Passes over the pairs; the learning rate falls evenly to 0 over the second half."""
    batch_size: int = 1
    learning_rate: float = 2e-4


def check_recipe(recipe: Pix2pixHDRecipe) -> None:
    """Refuse settings that contradict each other.

    Raises:
        RecipeError: an added enhancer has nothing to add, the window is not in the picture, or the
            file of the blendshapes is not MediaPipe's.
    """
    if recipe.blendshapes is not None:
        _check_landmarker(recipe.blendshapes)
    network, window = recipe.network, recipe.discriminators.window
    if network.enhancer == "added" and (network.working_px or recipe.size_px) >= recipe.size_px:
        raise RecipeError(
            "An added enhancer draws what a smaller copy leaves out: use --network.working-px "
            f"below the pictures' {recipe.size_px}."
        )
    top, bottom, left, right = window
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise RecipeError(
            "The discriminators' window is its top, bottom, left and right in sides of the "
            f"picture, 0 to 1, such as --discriminators.window 0.5 0.86 0.24 0.76; not {window}."
        )


def _check_landmarker(file: Path) -> None:
    try:
        with blendshapes(file):
            pass
    except ValueError as error:
        raise RecipeError(f"--blendshapes can't be used: {error}") from error


COMPACT = Pix2pixHDRecipe(
    condition="deviation",
    network=GeneratorConfig(
        dims=144,
        condition_input="bottleneck",
        channels=32,
        downsamplings=3,
        blocks=4,
        upsampling="resize",
        mask=True,
        warp=True,
        working_px=64,
        enhancer="added",
    ),
    augmentation=CAMERAS,
    size_px=128,
    warmup=WarmupConfig(px=64, share=0.55),
    discriminators=DiscriminatorConfig(
        channels=64, input="perceptual", window=(0.5, 0.86, 0.24, 0.76), start_share=0.5
    ),
    perceptual=PerceptualConfig(network="squeezenet"),
    losses=LossWeights(
        feature_matching=2.0,
        perceptual=1.0,
        pixels=10.0,
        changed_share=0.7,
        flow=10.0,
        expression=1.0,
        cycle=1.0,
        mask=0.02,
    ),
    sampling=PairSampling(
        single_share=0.5, unpaired_share=0.8, cross_driver_share=0.3, pairs_per_epoch=2000
    ),
    epochs=17,
    batch_size=8,
    learning_rate=4e-4,
    averaging=0.998,
)
SMOKE = Pix2pixHDRecipe(
    network=replace(COMPACT.network, dims=16, channels=8, downsamplings=2, blocks=1, working_px=32),
    toy=True,
    size_px=64,
    discriminators=DiscriminatorConfig(channels=8),
    perceptual=PerceptualConfig(network="none"),
    losses=LossWeights(pixels=10.0),
    sampling=PairSampling(pairs_per_epoch=96),
    epochs=2,
    batch_size=8,
)
RECIPES = {"pix2pixhd": Pix2pixHDRecipe(), "pix2pixhd-compact": COMPACT, "pix2pixhd-smoke": SMOKE}
"""pix2pixHD's own, the starter's, and a smoke test of a few seconds."""
