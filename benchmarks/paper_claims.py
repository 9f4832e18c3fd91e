r"""Which parts of the paper help? Deviation, polynomial, crowd layer, hierarchy, added in turn.

    python benchmarks/paper_claims.py data --seeds 3 --epochs 6 --workers 2

Every row of VARIANTS learns from the same faces of FER+ (simulated annotators), for the same
epochs, from the same face recognition weights. The learning rate was tuned with and without the
subtraction. Only the last layers learn; see cached_maps.py. So this tells what a part adds to a
short training of a small part of the network, and no more.

The tables hold what the trainings reach on the fixed triplets of FER+ and on the people of
lfw-emotion, as means over the seeds, and the differences from another variant, with 95 % intervals
by bootstrap over photos or persons. Finished trainings are kept in data/bench.

Own metrics: simulated annotators who weigh the emotions differently, the first one all alike. What
the crowd layer learned of them is in the last line; see planted_annotators.py.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import planted_annotators
import torch
from cached_maps import VIEWS, LastLayers, faces_of, mobilefacenet, rows_of
from jaxtyping import Float
from planted_annotators import metrics, recovered
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from registry.metrics.estimates import Estimate, Quantity
from training.compare import with_interval
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.engine.optimisers import optimisation
from training.loading.batches import WeightedSampler, balanced
from training.metrics.embedding import evaluate_vectors
from training.models.dln.config import RECIPES, DLNRecipe
from training.models.dln.crowd_layer import CrowdLayer
from training.models.dln.network import PolynomialHead
from training.models.triplets import hierarchy
from training.models.triplets.loss import AnnotatorEmbeddings, triplet_loss
from training.models.triplets.sampling import Sampling

SETS = ("ferplus", "lfw-emotion")
DIMS, ANNOTATORS, BATCH = 16, 12, 192
STRENGTH = 1.0
"""Std of the logarithm of the annotators' weights of the emotions, where they have own metrics."""
QUANTITIES = (
    *(
        ("ferplus", Quantity("triplet_accuracy", group))
        for group in ("one class", "two class", "three class", "")
    ),
    ("lfw-emotion", Quantity("leak_auc")),
    ("lfw-emotion", Quantity("leak_auc_same_expression")),
    ("lfw-emotion", Quantity("adversarial")),
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a training has and has not."""

    name: str
    against: str | None = None
    subtract: bool = True
    order: int = 3
    crowd: bool = False
    metrics: bool = False
    """The simulated annotators answer by metrics of their own."""
    hierarchy: float = 0.0
    """Share of the loss taken from hierarchical triplets."""

    @property
    def learning_rate(self) -> float:
        """The best of those tried on validation triplets; see docs/paper_claims.md."""
        return 2e-2 if self.subtract else 3e-3


VARIANTS = (
    Variant(name="no subtraction", subtract=False, order=1),
    Variant(name="subtraction", against="no subtraction", order=1),
    Variant(name="order 2", against="subtraction", order=2),
    Variant(name="order 3", against="subtraction", order=3),
    Variant(name="no subtraction, order 3", against="no subtraction", subtract=False),
    Variant(name="crowd layer", against="order 3", crowd=True),
    Variant(name="own metrics", against="order 3", metrics=True),
    Variant(name="own metrics, crowd layer", against="own metrics", metrics=True, crowd=True),
    Variant(name="hierarchy", against="order 3", hierarchy=0.3),
)
BY_NAME = {variant.name: variant for variant in VARIANTS}


class Network(nn.Module):
    """Maps and identity vectors -> expression: the DLN's layers on LastLayers."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.subtract = variant.subtract
        self.face = LastLayers(mobilefacenet())
        self.norm = nn.BatchNorm1d(128)
        self.head = PolynomialHead(128, DIMS, variant.order)
        self.crowd = CrowdLayer(ANNOTATORS, DIMS) if variant.crowd else None

    def forward(self, maps: Tensor, identities: Tensor) -> Float[Tensor, "batch dims"]:
        """Return unit vectors."""
        face = self.face(maps)
        deviation = face - identities if self.subtract else face
        return functional.normalize(self.head(self.norm(deviation)), dim=1)

    def for_annotators(self, expression: Tensor) -> AnnotatorEmbeddings:
        """Return each annotator's embeddings; all are equal without a crowd layer."""
        if self.crowd is None:
            none = expression.new_zeros(())
            return AnnotatorEmbeddings(expression.expand(ANNOTATORS, -1, -1), none)
        outputs: AnnotatorEmbeddings = self.crowd(expression)
        return outputs


def train(folder: Path, variant: Variant, recipe: DLNRecipe) -> Network:
    """Return a network that was trained on a prepared set, in eval mode."""
    torch.manual_seed(recipe.seed)
    data = Prepared.open(folder)
    faces = faces_of(folder, "train", VIEWS)
    counts = votes.counts(data.index)[rows_of(data, "train")]
    shares, single = torch.from_numpy(votes.shares(counts)), torch.from_numpy(counts.sum(1) <= 1)
    sampler = WeightedSampler(balanced(counts.argmax(1), recipe.balance), recipe.seed)
    network, steps = Network(variant), len(counts) // BATCH
    both = optimisation(recipe, network.parameters(), steps * recipe.epochs, "adamw", "cosine")
    sampling = replace(recipe.sampling, annotators=ANNOTATORS, annotator_bias=0)
    generator = np.random.default_rng(recipe.seed)
    for epoch in range(recipe.epochs):
        sampler.set_epoch(epoch)
        items = np.array(list(sampler))[: steps * BATCH].reshape(steps, BATCH)
        for batch in items:
            at = torch.from_numpy(batch)
            expression = network(*faces.batch(batch, generator.integers(VIEWS, size=BATCH)))
            loss = _loss(network, variant, recipe, expression, shares[at], single[at], sampling)
            both.optimiser.zero_grad()
            loss.backward()
            both.optimiser.step()
            both.schedule.step()
    return network.eval()


def _loss(
    network: Network,
    variant: Variant,
    recipe: DLNRecipe,
    expression: Tensor,
    shares: Tensor,
    single: Tensor,
    sampling: Sampling,
) -> Tensor:
    """Return the loss of `TripletTask.step`."""
    outputs = network.for_annotators(expression)
    triplets = (
        planted_annotators.draw(shares, metrics(ANNOTATORS, STRENGTH, recipe.seed))
        if variant.metrics
        else sampling.draw(shares, single, recipe.seed)
    )
    margins = (recipe.one_class_margin, recipe.margin, recipe.margin)
    loss = triplet_loss(outputs.embeddings, triplets, margins)
    if variant.hierarchy:
        drawn = hierarchy.draw(expression, shares)
        margins = (0.0, recipe.fine_margin, recipe.coarse_margin)
        coarse = triplet_loss(outputs.embeddings, drawn, margins)
        loss = torch.lerp(loss, coarse, variant.hierarchy)
    return loss + recipe.crowd_penalty * outputs.penalty


def embed(network: Network, folder: Path, split: str) -> Float[np.ndarray, "faces dims"]:
    """Return the expression vectors of a split's faces in the index's order, NaN for others."""
    data = Prepared.open(folder)
    faces, rows = faces_of(folder, split), rows_of(data, split)
    vectors = np.full((len(data.index), DIMS), np.nan, np.float32)
    for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // 256)):
        with torch.inference_mode():
            vectors[rows[part]] = network(*faces.batch(part, np.zeros_like(part))).numpy()
    return vectors


def learned_metrics(network: Network, data: Prepared, vectors: np.ndarray, seed: int) -> float:
    """Return `recovered` of a network with a crowd layer, on the faces that have vectors."""
    assert network.crowd is not None
    counts = votes.counts(data.index)
    rows = np.flatnonzero(~np.isnan(vectors).any(1) & (counts.sum(1) > 0))
    shares, expressions = torch.from_numpy(votes.shares(counts[rows])), vectors[rows]
    weights = metrics(ANNOTATORS, STRENGTH, seed)
    return recovered(network.crowd, weights, torch.from_numpy(expressions), shares)


def run(name: str, folder: Path, kept: Path, recipe: DLNRecipe) -> None:
    """Train one variant with one seed and keep its weights."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    started = time.monotonic()
    recipe = replace(recipe, learning_rate=BY_NAME[name].learning_rate)
    network = train(folder / SETS[0], BY_NAME[name], recipe)
    kept.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), kept / f"{name} {recipe.seed}.safetensors")
    took = f"{(time.monotonic() - started) / 60:.1f} min"
    print(f"{name}, seed {recipe.seed}: {took}", file=sys.stderr, flush=True)


class Measured(NamedTuple):
    """What a variant reached."""

    estimates: dict[tuple[str, Quantity], Estimate]
    """By set and quantity; means over the seeds."""
    recovered: list[float]
    """Of each seed."""


def measured(name: str, seeds: int, kept: Path, folder: Path, split: str) -> Measured:
    """Return what the trainings of a variant reach on the sets' faces."""
    found: list[dict[tuple[str, Quantity], Estimate]] = []
    correlations = []
    for seed in range(seeds):
        network = Network(BY_NAME[name])
        network.load_state_dict(load_file(kept / f"{name} {seed}.safetensors"))
        network.eval()
        vectors = {each: embed(network, folder / each, split) for each in SETS}
        found.append({})
        for each in SETS:
            reached = evaluate_vectors(vectors[each], Prepared.open(folder / each), split)
            found[-1] |= {(each, quantity): e for quantity, e in reached.estimates.items()}
        if network.crowd is not None and BY_NAME[name].metrics:
            data = Prepared.open(folder / SETS[0])
            correlations.append(learned_metrics(network, data, vectors[SETS[0]], seed))
    means = {
        key: type(first).mean([each[key] for each in found]) for key, first in found[0].items()
    }
    return Measured(means, correlations)


def tables(every: Mapping[str, Measured]) -> Iterator[str]:
    """Yield the lines of both tables, Markdown, and what was recovered."""
    titles = [f"{name} {quantity}".replace("_", " ") for name, quantity in QUANTITIES]
    for head in ("variant", "variant, less"):
        yield f"| {head} | {' | '.join(titles)} |"
        yield f"|{'---|' * (1 + len(titles))}"
        for name, own in every.items():
            base = every.get(BY_NAME[name].against or "")
            if head == "variant":
                values = [own.estimates[each] for each in QUANTITIES]
                cells = [with_interval(each.value, each.interval()) for each in values]
                yield f"| {name} | {' | '.join(cells)} |"
            elif base is not None:
                pairs = [(own.estimates[each], base.estimates[each]) for each in QUANTITIES]
                cells = [
                    with_interval(one.value - other.value, one.difference(other), "+")
                    for one, other in pairs
                ]
                yield f"| {name}, less {BY_NAME[name].against} | {' | '.join(cells)} |"
        yield ""
    for name, own in every.items():
        if own.recovered:
            shown = ", ".join(f"{value:.2f}" for value in own.recovered)
            yield f"{name}: rank correlation with the annotators' own metrics, by seed: {shown}."


def main(arguments: argparse.Namespace) -> None:
    """Train what is missing and print the table."""
    folder, split = arguments.data, arguments.split
    recipe = replace(RECIPES["dln-compact"], epochs=arguments.epochs)
    kept = folder / "bench" / "paper-claims" / f"{recipe.epochs} epochs"
    faces_of(folder / SETS[0], "train", VIEWS)  # written once here, not by each process
    names = arguments.variants or [*BY_NAME]
    seeds = {name: 1 if name in arguments.one_seed else arguments.seeds for name in names}
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(run, name, folder, kept, replace(recipe, seed=seed))
            for seed in range(arguments.seeds)
            for name in names
            if seed < seeds[name] and not (kept / f"{name} {seed}.safetensors").exists()
        ]
        for each in waiting:
            each.result()
    reached = {name: measured(name, seeds[name], kept, folder, split) for name in names}
    print("\n".join(tables(reached)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures what each part of the paper adds.")
    parser.add_argument("data", type=Path, help="folder of prepared sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one-seed", nargs="*", default=[], choices=BY_NAME, metavar="VARIANT")
    parser.add_argument("--variants", nargs="*", choices=BY_NAME, metavar="VARIANT")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    main(parser.parse_args())
