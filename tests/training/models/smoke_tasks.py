"""The smoke recipes, and variants of them that use every term of their losses."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from registry.catalog import DLN
from tests.browser.networks import Tiny, register
from training.engine.recipe import Recipe
from training.models.pix2pixhd.config import CAMERAS, LossWeights, PairSampling, WarmupConfig
from training.recipes import RECIPES

PIX2PIXHD = "pix2pixhd-smoke"
VARIANTS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "dln-hierarchy": ("dln-smoke", {"hierarchy": 0.3, "label_distance_weight": 0.5}),
    "emotion-mixup": ("emotion-smoke", {"mixup": 0.2, "warmup_px": 32, "class_weight": 1.0}),
    "pix2pixhd-all-terms": (
        PIX2PIXHD,
        {
            "augmentation": CAMERAS,
            "losses": LossWeights(
                pixels=10.0, changed_share=0.7, expression=1.0, cycle=1.0, mask=0.02, flow=1.0
            ),
            "sampling": PairSampling(
                single_share=0.5, unpaired_share=0.8, cross_driver_share=0.3, pairs_per_epoch=96
            ),
            "warmup": WarmupConfig(px=32, share=0.3),
        },
    ),
}
NAMES = [*(name for name in RECIPES if name.endswith("-smoke")), *VARIANTS]


def register_encoder() -> None:
    """Register the version of dln that the recipes of generators name, in an empty store."""
    register(DLN, Tiny(1, {"expression": 16, "identity": 32}))


def smoke_recipe(name: str, runs: Path) -> Recipe:
    """Return a recipe of NAMES in float32 on the CPU; `register_encoder` comes first."""
    base, fields = VARIANTS.get(name, (name, {}))
    if base == PIX2PIXHD:
        fields = {**fields, "encoder": "dln/1"}
    return replace(RECIPES[base], precision="no", device="cpu", runs=runs, **fields)  # type: ignore[arg-type]
