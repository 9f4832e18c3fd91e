"""What can be said about training the generator, and the recipes we name."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from registry.catalog import PIX2PIXHD
from training.engine.recipe import Recipe, VersionReference
from training.loading.augmentation import Augmentation
from training.models.pix2pixhd.encoder import Condition
from training.models.pix2pixhd.generator import GeneratorConfig
from training.models.pix2pixhd.perceptual import PerceptualName

MIRRORED = Augmentation(
    rotation_degrees=0.0, scale=0.0, shift=0.0, light=0.0, gamma=0.0, blur=0.0, jpeg=0.0, noise=0.0,
    grey=0.0, erase=0.0,
)  # fmt: skip
"""What pix2pixHD does to its pictures."""
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
class Pix2pixHDRecipe(Recipe):
    """pix2pixHD between two faces of one person; its losses, optimiser and schedule.

    The paper of the DLN says neither the pictures' size nor how the expression comes in: 256 px and
    planes are our decision.
    """

    encoder: VersionReference = "dln@production"
    """Version of dln whose expression vectors ask for an expression; it travels in the version."""
    condition: Condition = "expression"
    """What a change is the difference of; `network.dims` is its length."""
    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    start: VersionReference | None = None
    """Version of pix2pixhd to go on from, such as pix2pixhd/1; an enhancer may be put around it,
    and its condition may grow longer."""
    augmentation: Augmentation = MIRRORED
    """The same for both faces of a pair."""
    size_px: int = PIX2PIXHD.crop.size_px
    """Side of the pictures."""
    warmup_px: int | None = None
    """Side of the pictures in the early epochs, smaller and therefore faster."""
    warmup_share: float = 0.8
    """Share of the epochs that are early."""
    judges: int = 2
    """Discriminators, each at half the side of the one before; of perceptual maps one for each."""
    judge_channels: int = 64
    """Channels of a discriminator's first layer."""
    judge_sees: Literal["pixels", "perceptual"] = "pixels"
    """What the discriminators look at: the picture, or what the perceptual network sees of it,
    which teaches them within hundreds of steps what a mouth is; ours (docs/generator.md)."""
    judged: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    """Top, bottom, left and right of what the discriminators see, in sides of the picture; ours: a
    mouth is three in a hundred of a face."""
    adversarial: float = 1.0
    """Weight of the least-squares GAN's loss."""
    adversarial_from: float = 0.0
    """Share of the epochs after which the discriminators begin to learn and to judge."""
    feature_matching: float = 10.0
    """Weight of the distance of what the discriminators see."""
    perceptual: float = 10.0
    """Weight of the distance of what the perceptual network sees."""
    perceptual_network: PerceptualName = "vgg19"
    """`vgg19` and `squeezenet` know ImageNet; `identity` is the DLN's frozen branch, where that was
    not distilled from the network that judges the results."""
    perceptual_weights: Path | None = None
    """File of the perceptual network's weights; vgg19's is fetched where none is named."""
    pixels: float = 0.0
    """Weight of the pixels' L1 distance; ours."""
    changed: float = 0.0
    """Share of it in which a pixel counts as much as the truth differs from the source there; in
    the rest all count alike."""
    flow: float = 0.0
    """Weight of the warp's L1 distance to where points of rendered faces really moved; ours."""
    expression: float = 0.0
    """Weight of the squared distance of the result's expression vector to the wanted one; ours."""
    returned: float = 0.0
    """For faces without a truth, ours: weight of the same distances of pixels and perception
    between a face and what is made of its generated picture, asked for the face's own expression.
    The picture is taken as given, so that nothing of the face can be hidden in it."""
    anew: float = 0.0
    """Weight of the mask's mean: what need not be drawn anew stays the source's own; ours."""
    single_share: float = 0.0
    """Share of single faces among those drawn; they are to stay as they are, but for `moved`."""
    moved: float = 0.0
    """Share of the single faces that are asked for another person's expression instead."""
    driven: float = 0.0
    """Share of the pairs whose expression another person asks for, who shows the same."""
    pairs_per_epoch: int | None = None
    """Pairs and single faces of an epoch, every set equally often; all of them where not said."""
    log_faces: bool = True
    """Put a sheet of results into MLflow at each epoch, although it shows persons: a generator is
    judged by looking."""
    epochs: int = 200
    """Passes over the pairs; the learning rate falls evenly to 0 over the second half."""
    batch_size: int = 1
    learning_rate: float = 2e-4


COMPACT = Pix2pixHDRecipe(
    condition="deviation",
    network=GeneratorConfig(
        dims=144,
        where="bottleneck",
        channels=32,
        downsamplings=3,
        blocks=4,
        upsampling="resize",
        mask=True,
        warp=True,
        seen_px=64,
        enhancer="added",
    ),
    augmentation=CAMERAS,
    size_px=128,
    warmup_px=64,
    warmup_share=0.55,
    judge_channels=64,
    judge_sees="perceptual",
    judged=(0.5, 0.86, 0.24, 0.76),
    adversarial_from=0.5,
    feature_matching=2.0,
    perceptual=1.0,
    perceptual_network="squeezenet",
    pixels=10.0,
    changed=0.7,
    flow=10.0,
    expression=1.0,
    returned=1.0,
    anew=0.02,
    single_share=0.5,
    moved=0.8,
    driven=0.3,
    pairs_per_epoch=2000,
    epochs=17,
    batch_size=8,
    learning_rate=4e-4,
    averaging=0.998,
    precision="bf16",
)
SMOKE = Pix2pixHDRecipe(
    network=replace(COMPACT.network, dims=16, channels=8, downsamplings=2, blocks=1, seen_px=32),
    toy=True,
    size_px=64,
    judge_channels=8,
    perceptual_network="none",
    pixels=10.0,
    pairs_per_epoch=96,
    epochs=2,
    batch_size=8,
)
RECIPES = {"pix2pixhd": Pix2pixHDRecipe(), "pix2pixhd-compact": COMPACT, "pix2pixhd-smoke": SMOKE}
"""pix2pixHD's own, the starter's, and a try of a few seconds."""
