"""What generated pictures of rare emotions add to an emotion classifier.

    python benchmarks/rare_emotions.py data --seeds 3 --epochs 6

A classifier learns from the labelled training faces of FER+ and lfw-emotion; with the renders of
ict; with transfers by the generator in production; and with both. The transfers give neutral people
of lfw-emotion's and london's training persons the anger, disgust and fear of FER+'s training faces
on which more than half of the votes agree; kept are those that the version warns nothing of. Their
labels are the drivers' votes. Only the last layers learn; see cached_maps.py.

The tables hold the recall of each emotion on the test faces, of the answers with the class prior
taken out, as means over the seeds, and the difference from the first variant, with 95 % intervals
by bootstrap over faces. What was made is kept in data/bench/rare-emotions.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from cached_maps import (
    VIEWS,
    Faces,
    LastLayers,
    faces_of,
    mobilefacenet,
    rows_of,
)
from jaxtyping import Float
from rare_transfers import TRANSFERS, transfers
from torch import Tensor, nn
from torch.nn import functional

from registry.catalog import EMOTIONS
from registry.metrics.bootstrap import cluster_weights
from registry.metrics.estimates import PERCENTILES
from training.compare import with_interval
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.engine.optimisers import optimisation
from training.metrics.classification import balanced_logits, fitted_prior
from training.models.emotion.config import RECIPES, EmotionRecipe

REAL, RENDERED, MEASURED = ("ferplus", "lfw-emotion"), "ict", ("ferplus", "lfw-emotion")
VARIANTS: dict[str, tuple[str, ...]] = {
    "real faces": (),
    "with renders": (RENDERED,),
    "with transfers": (TRANSFERS,),
    "with both": (RENDERED, TRANSFERS),
}
"""What each variant learns from besides REAL."""
BATCH = 128


class Classifier(nn.Module):
    """Maps and identity vectors -> logits: the emotion classifier's layers on LastLayers."""

    def __init__(self) -> None:
        super().__init__()
        self.face = LastLayers(mobilefacenet())
        self.norm = nn.BatchNorm1d(128)
        self.classify = nn.Linear(128, len(EMOTIONS))

    def forward(self, maps: Tensor, identities: Tensor) -> Float[Tensor, "batch emotions"]:
        """Return logits."""
        logits: Tensor = self.classify(self.norm(self.face(maps) - identities))
        return logits


def train(
    parts: Sequence[tuple[Faces, Float[np.ndarray, "n emotions"]]], recipe: EmotionRecipe
) -> Classifier:
    """Return a classifier that learned from the faces of all parts, in eval mode."""
    torch.manual_seed(recipe.seed)
    generator = np.random.default_rng(recipe.seed)
    network = Classifier()
    part = np.concatenate([np.full(len(shares), i) for i, (_, shares) in enumerate(parts)])
    row = np.concatenate([np.arange(len(shares)) for _, shares in parts])
    targets = torch.from_numpy(np.concatenate([shares for _, shares in parts]))
    steps = len(row) // BATCH
    both = optimisation(recipe, network.parameters(), steps * recipe.epochs, "adamw", "cosine")
    for _ in range(recipe.epochs):
        shuffled = generator.permutation(len(row))[: steps * BATCH].reshape(steps, BATCH)
        for drawn_items in shuffled:
            items = drawn_items[np.argsort(part[drawn_items], kind="stable")]
            drawn = [
                faces.batch(chosen, generator.integers(VIEWS, size=len(chosen)))
                for i, (faces, _) in enumerate(parts)
                for chosen in [row[items[part[items] == i]]]
            ]
            logits = network(*(torch.cat(each) for each in zip(*drawn, strict=True)))
            loss = functional.cross_entropy(logits, targets[torch.from_numpy(items)])
            both.optimiser.zero_grad()
            loss.backward()
            both.optimiser.step()
            both.schedule.step()
    return network.eval()


def logits_of(network: Classifier, folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return the logits and labels of a split's labelled faces."""
    data, faces = Prepared.open(folder), faces_of(folder, split)
    rows = rows_of(data, split)
    emotion = data.index["emotion"].to_numpy(dtype=float, na_value=np.nan)
    kept = np.flatnonzero(np.isin(rows, data.split(split)) & ~np.isnan(emotion[rows]))
    with torch.inference_mode():
        parts = [
            network(*faces.batch(part, np.zeros_like(part)))
            for part in np.array_split(kept, max(1, len(kept) // 256))
        ]
    return torch.cat(parts), torch.from_numpy(emotion[rows[kept]]).long()


def run(data: Path, kept: Path, name: str, recipe: EmotionRecipe, count: int) -> None:
    """Train one variant with one seed; keep its answers to the test faces without the prior."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    sets = [*REAL, *(each for each in VARIANTS[name] if each == RENDERED)]
    parts = [(faces_of(data / each, "train", VIEWS), shares_of(data / each)) for each in sets]
    if TRANSFERS in VARIANTS[name]:
        parts.append(transfers(data, kept, count))
    network = train(parts, recipe)
    known = [logits_of(network, data / each, "validation") for each in MEASURED]
    prior = fitted_prior(*(torch.cat(each) for each in zip(*known, strict=True)))
    right = {}
    for each in MEASURED:
        logits, truth = logits_of(network, data / each, "test")
        right[each] = (balanced_logits(logits, prior).argmax(1) == truth).numpy()
        right[f"{each} wild"] = (logits.argmax(1) == truth).numpy()
        right[f"{each} truth"] = truth.numpy()
    np.savez(kept / f"{name} {recipe.seed}.npz", **right)


def shares_of(folder: Path) -> Float[np.ndarray, "n emotions"]:
    """Return the votes of a set's training faces as distributions."""
    data = Prepared.open(folder)
    return votes.shares(votes.counts(data.index.iloc[rows_of(data, "train")]))


def rows(kept: Path, names: Sequence[str], seeds: int) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows: set, emotion, test faces, and each variant's recall."""
    for of_set in MEASURED:
        right, truth = _right(kept, names, of_set, seeds)
        emotions = [int(each) for each in np.unique(truth)]
        drawn = list(cluster_weights(np.arange(len(truth))))
        for title, chosen in (*((EMOTIONS[e], [e]) for e in emotions), ("mean", emotions)):
            base = right[names[0]]
            cells = [_cell(base, truth, chosen, drawn, "")]
            cells += [_cell(right[n] - base, truth, chosen, drawn, "+") for n in names[1:]]
            yield of_set, title, str(int(np.isin(truth, chosen).sum())), *cells


def _right(
    kept: Path, names: Sequence[str], of_set: str, seeds: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return each variant's share of seeds that answered a face correctly, and the labels."""
    right = {}
    for name in names:
        stored = [np.load(kept / f"{name} {seed}.npz") for seed in range(seeds)]
        right[name] = np.mean([each[of_set] for each in stored], axis=0)
        truth: np.ndarray = stored[0][f"{of_set} truth"]
    return right, truth


def _cell(
    values: np.ndarray,
    truth: np.ndarray,
    emotions: Sequence[int],
    drawn: list[np.ndarray],
    sign: str,
) -> str:
    """Return the mean of the values over each emotion's faces, averaged, with its interval."""

    def statistic(weights: Float[np.ndarray, "draws faces"]) -> Float[np.ndarray, "draws"]:
        each = [
            (weights[:, truth == e] @ values[truth == e]) / weights[:, truth == e].sum(1)
            for e in emotions
        ]
        means: np.ndarray = np.nanmean(each, axis=0)
        return means

    value = float(statistic(np.ones((1, len(truth))))[0])
    resampled = np.concatenate([statistic(weights) for weights in drawn])
    low, high = np.nanpercentile(resampled, PERCENTILES).tolist()
    return with_interval(value, (low, high), sign)


def main(arguments: argparse.Namespace) -> None:
    """Make and train what is missing, and print the table."""
    data, kept = arguments.data, arguments.data / "bench" / "rare-emotions"
    recipe = replace(
        RECIPES["emotion-compact"],
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
    )
    names = arguments.variants
    parts = {part for name in names for part in VARIANTS[name]}
    for name in (*REAL, *(parts - {TRANSFERS})):  # written once here, not by each process
        faces_of(data / name, "train", VIEWS)
    for name in MEASURED:
        for split in ("validation", "test"):
            faces_of(data / name, split)
    if TRANSFERS in parts:
        transfers(data, kept, arguments.transfers)
    kept.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(run, data, kept, name, replace(recipe, seed=seed), arguments.transfers)
            for seed in range(arguments.seeds)
            for name in names
            if not (kept / f"{name} {seed}.npz").exists()
        ]
        for each in waiting:
            each.result()
    print(f"| set | emotion | faces | {' | '.join(names)} |")
    print(f"|{'---|' * (3 + len(names))}")
    for row in rows(kept, names, arguments.seeds):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures what generated pictures add.")
    parser.add_argument("data", type=Path, help="folder of prepared sets")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--transfers", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    main(parser.parse_args())
