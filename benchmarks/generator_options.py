"""What each option of the generator costs and gives, trained side by side on the compact recipe.

    python benchmarks/generator_options.py --data PREPARED... --perceptual-weights FILE [--epochs 2]

Trains the compact recipe at its warm-up size (64 px, without discriminators) once with all options
of the starter, and once with each option the other way; prints a Markdown table. The same seed,
faces and steps for all. Measured on validation's persons, as in any training: how much nearer the
result is to the driver's expression and how like the person, by the encoder; SSIM to the truth less
the untouched source's; and blobs: how much more of a picture repeats every second pixel than in the
truths. Give it a store of its own (EXPRESSION_STUDIO_STORE) with dln in production. After a
stop the same command goes on.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from registry import measurements, versions
from registry.catalog import EXPRESSION_DIMS
from registry.crops import to_tensor
from registry.versions import ProductionModel, Version
from training.datasets.alignment import aligned
from training.datasets.prepared import Prepared
from training.engine.recipe import Recipe
from training.engine.run_folder import run_folder
from training.engine.runs import finished
from training.engine.tracking import card_of
from training.models.pix2pixhd.config import RECIPES, Pix2pixHDRecipe
from training.models.pix2pixhd.encoder import Condition
from training.models.pix2pixhd.generator_config import GeneratorConfig
from training.models.pix2pixhd.validation import TransferValidation
from training.train import train

NAME = "pix2pixhd-compact"
REPEATS = 20
SHORT = 0.99
"""Averaging of weights for trainings of a few hundred steps."""
HEAD = (
    "| generator | parameters | ms a face | min of training | nearer | identity | SSIM gained "
    "| blobs |\n|---|---|---|---|---|---|---|---|"
)


class Variant(NamedTuple):
    """A generator, and what is different about it in words."""

    name: str
    network: GeneratorConfig
    condition: Condition = "deviation"


def variants() -> list[Variant]:
    """Return the starter's global generator, and a variant with each option the other way."""
    base = replace(RECIPES[NAME].network, enhancer="none")
    planes = replace(base, condition_input="planes")
    return [
        Variant("bottleneck, resize, mask, warp", base),
        Variant(
            "the expression alone as condition",
            replace(base, dims=EXPRESSION_DIMS),
            condition="expression",
        ),
        Variant("planes instead of bottleneck", planes),
        Variant("transposed instead of resize", replace(base, upsampling="transposed")),
        Variant("without warp", replace(base, warp=False)),
        Variant("without warp and mask", replace(base, warp=False, mask=False)),
        Variant(
            "as published: planes, transposed, neither",
            replace(planes, upsampling="transposed", warp=False, mask=False),
        ),
    ]


def trained(recipe: Recipe) -> Version:
    """Return the version of a recipe; it is trained only if there is none yet."""
    run_id = finished("pix2pixhd", run_folder(NAME, recipe).name)
    version = versions.find("pix2pixhd", run_id=run_id) if run_id else None
    version = version or train(NAME, recipe, "python benchmarks/generator_options.py")
    assert version is not None
    return version


def row(variant: Variant, recipe: Pix2pixHDRecipe) -> str:
    """Train a variant and return its line of the table."""
    version = trained(replace(recipe, network=variant.network, condition=variant.condition))
    card, model = card_of(version.run_id), versions.load(version, "cpu")
    assert card is not None
    measured = measurements.read(version.run_id)
    nearer, identity, ssim, untouched = (
        statistics.mean(row.value for row in measured if row.metric == metric)
        for metric in ("nearer", "identity", "ssim", "ssim_untouched")
    )
    size = sum(p.numel() for p in torch.nn.ParameterList(_weights(version)))
    return (
        f"| {variant.name} | {size / 1e6:.2f} M | {latency(model):.0f} | {card['minutes']:.1f} "
        f"| {nearer:.3f} | {identity:.3f} | {ssim - untouched:+.4f} "
        f"| {blobs(model, recipe):+.1%} |"
    )


def latency(model: ProductionModel) -> float:
    """Return milliseconds of one generated face; median of 20."""
    side, times = model.version.crop.size_px, []
    face, change = torch.rand(1, 3, side, side), torch.zeros(1, model.version.condition)
    for _ in range(REPEATS + 2):
        began = time.perf_counter()
        model(face, change)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[2:])


def blobs(model: ProductionModel, recipe: Pix2pixHDRecipe) -> float:
    """Return how much more of the results than of the truths repeats every second pixel."""
    of_results, of_truths = [], []
    for data in map(Prepared.open, recipe.data):
        crop = model.version.crop
        level, plain = aligned(data, crop), data.faces(crop)
        for case in TransferValidation.of([data], "validation", crop).cases[0]:
            if case.truth is None:
                continue
            faces = to_tensor([level[case.source], plain[case.driver], level[case.truth]])
            own, wanted = model.encode(faces[:2])["condition"]
            result = model(faces[:1], (wanted - own)[None])["picture"]
            of_results.append(_every_second(result))
            of_truths.append(_every_second(faces[2:]))
    return statistics.mean(of_results) / statistics.mean(of_truths) - 1


def _every_second(faces: Float[Tensor, "batch 3 h w"]) -> float:
    """Return the mean size of a picture's part of period two: Haar's finest coefficients."""
    one, two = faces[..., ::2, :], faces[..., 1::2, :]
    rows, diagonal = (one - two).abs(), one[..., ::2] - one[..., 1::2]
    return float(rows.mean() + (diagonal - two[..., ::2] + two[..., 1::2]).abs().mean())


def _weights(version: Version) -> Iterator[Tensor]:
    named = versions.weights(f"{version.name}/{version.number}")
    return (value for key, value in named.items() if key.startswith("generator."))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="prepared sets")
    parser.add_argument("--perceptual-weights", type=Path, required=True, metavar="FILE")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--faces", type=int, default=2000, help="pairs and faces of an epoch")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    compact: Pix2pixHDRecipe = RECIPES[NAME]
    short = replace(
        compact,
        data=tuple(arguments.data),
        perceptual=replace(compact.perceptual, weights=arguments.perceptual_weights),
        size_px=compact.warmup.px or compact.size_px,
        losses=replace(compact.losses, adversarial=0.0),
        averaging=SHORT,
        epochs=arguments.epochs,
        sampling=replace(compact.sampling, pairs_per_epoch=arguments.faces),
        checkpoint_steps=100,
    )
    print(HEAD)
    for each in variants():
        print(row(each, short), flush=True)
