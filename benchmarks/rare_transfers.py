"""Transfers that show rare emotions, as training faces: made by the generator in production."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from cached_maps import CROP, VIEWS, Faces, identities_of, rows_of, write_maps
from jaxtyping import Float
from torch import Tensor

from registry import versions
from registry.catalog import EMOTIONS, PIX2PIXHD
from registry.console import track
from registry.crops import to_tensor
from registry.transfer_metrics import TransferMetrics, TransferThresholds
from training.datasets import votes
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.encoder import narrower

SOURCES, DRIVERS = ("lfw-emotion", "london"), "ferplus"
WANTED = ("anger", "disgust", "fear")
TRANSFERS = "transfers"


def transfers(data: Path, kept: Path, count: int) -> tuple[Faces, Float[np.ndarray, "n emotions"]]:
    """Return the transfers that the version warns nothing of, and their drivers' votes."""
    made = kept / f"{TRANSFERS}-{count}.npz"
    if not made.exists():
        kept.mkdir(parents=True, exist_ok=True)
        pictures, shares = generate(data, count)
        np.savez(made, pictures=pictures, shares=shares)
    with np.load(made) as stored:
        pictures, shares = stored["pictures"], stored["shares"]
    maps = kept / f"{TRANSFERS}-{count}-maps.npy"
    if not maps.exists():
        write_maps(maps, pictures, np.arange(len(pictures)), VIEWS, TRANSFERS)
    stored_maps = np.load(maps, mmap_mode="r")
    identities = torch.from_numpy(identities_of(stored_maps))
    return Faces(maps=stored_maps, identities=identities), shares


def generate(data: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return transfers cut by CROP, uint8 RGB, and their drivers' votes; prints how many passed."""
    model = versions.load(f"{PIX2PIXHD.name}@production", "cpu")
    version, rng = model.version, np.random.default_rng(0)
    thresholds = TransferThresholds.from_dict(version.thresholds)
    sources = [face for name in SOURCES for face in _neutral(Prepared.open(data / name))]
    drivers = Prepared.open(data / DRIVERS)
    rows, shares = rows_of(drivers, "train"), votes.shares(votes.counts(drivers.index))
    clear = rows[shares[rows].max(1) > 0.5]
    pictures, targets = [], []
    for number in track(range(count), TRANSFERS, total=count):
        emotion = EMOTIONS.index(WANTED[number % len(WANTED)])
        driver = rng.choice(clear[shares[clear].argmax(1) == emotion])
        data_of, source = sources[rng.integers(len(sources))]
        pair = [data_of.faces(version.crop)[source], drivers.faces(version.crop)[driver]]
        with torch.inference_mode():
            faces = to_tensor(pair)
            encoded = model.encode(faces)
            change = (encoded["condition"][1] - encoded["condition"][0])[None]
            picture = model(faces[:1], change)["picture"].float().clamp(0, 1)
            encoded = {k: torch.cat([v, model.encode(picture)[k]]) for k, v in encoded.items()}
        if not thresholds.failures(_metrics(encoded), 1.0):
            cut = narrower(picture, version.crop, CROP)[0]
            pictures.append((cut * 255).round().byte().permute(1, 2, 0).numpy())
            targets.append(shares[driver])
    print(f"{len(pictures)} of {count} transfers passed.", flush=True)
    return np.stack(pictures), np.stack(targets)


def _neutral(data: Prepared) -> Iterator[tuple[Prepared, int]]:
    rows = data.split("train")
    neutral = data.index["emotion"].iloc[rows] == EMOTIONS.index("neutral")
    yield from ((data, int(row)) for row in rows[neutral.to_numpy(dtype=bool)])


def _metrics(encoded: dict[str, Tensor]) -> TransferMetrics:
    """Return the metrics of a transfer from the encoder's outputs for source, driver, result."""
    source, driver, result = range(3)
    expression, identity, shapes = (
        encoded[name] for name in ("expression", "identity", "blendshapes")
    )
    return TransferMetrics(
        before=float((expression[source] - expression[driver]).norm()),
        after=float((expression[result] - expression[driver]).norm()),
        likeness=float(identity[result] @ identity[source]),
        driver_likeness=float(identity[result] @ identity[driver]),
        blendshapes_before=float((shapes[source] - shapes[driver]).norm()),
        blendshapes_after=float((shapes[result] - shapes[driver]).norm()),
    )
