"""python -m training.pack_blendshapes FILE DATA...: pack the head that checks the generator."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from registry import versions
from registry.catalog import PIX2PIXHD
from registry.landmarks import blendshapes
from registry.measurements import Measurement
from training import pack
from training.cards.run_card import machine, revision
from training.datasets.prepared import Prepared
from training.models.pix2pixhd import blendshape_fit
from training.models.pix2pixhd.blendshape_fit import FittedHead
from training.seed import write_graphs
from training.starters import files

LEARNED_FROM = (
    "MediaPipe's blendshapes of the validation persons' photos and of the generator's results for "
    "them, on the maps of the frozen mobilefacenet. It says what MediaPipe would find: it is no "
    "measure that is independent of it."
)


def pack_blendshapes(
    file: Annotated[Path, tyro.conf.Positional],
    data: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    version: str = f"{PIX2PIXHD.name}@production",
) -> None:
    """Fit the head of the shipped generator, and pack it with its threshold.

    Args:
        file: MediaPipe's face_landmarker_v2_with_blendshapes.task.
        data: prepared sets; those that know persons give the sources.
        version: the generator: the shipped one.
    """
    with blendshapes(file):
        pass  # a wrong file is refused before minutes of work
    started, sets = time.monotonic(), [Prepared.open(folder) for folder in data]
    model = versions.load(version, "cpu")

    def generate(faces: Tensor, change: Tensor) -> Tensor:
        return model(faces, change)["picture"]

    crop = model.version.crop
    fitted = blendshape_fit.fit_head(sets, crop, generate, model.encode, file)
    if fitted is None:
        raise ValueError("These sets have too few validation persons: add sets.")
    card = {
        "model": files.BLENDSHAPES,
        "recipe": files.BLENDSHAPES,
        "command": f"python -m training.pack_blendshapes {file.name} {' '.join(map(str, data))}",
        "revision": revision(),
        "learned_from": LEARNED_FROM,
        "generator": files.weights_digest(_generator_weights(version)),
        "data": [{"name": each.name, "digest": each.digest} for each in sets],
        "transfers": fitted.transfers,
        "seed": 0,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "machine": machine(),
        "torch": torch.__version__.split("+")[0],
        "crop": asdict(fitted.head.crop),
        "thresholds": fitted.thresholds,
    }
    path = files.write(files.BLENDSHAPES, fitted.head.linear.state_dict(), card, measured(fitted))
    for written in (path, *write_graphs(files.Starter.open(files.PIX2PIXHD))):
        sys.stdout.write(f"{written} holds {written.stat().st_size / 1e6:.2f} MB.\n")


def _generator_weights(version: str) -> dict[str, Tensor]:
    """Return the weights of a version's generator, named as its starter names them."""
    prefix, weights = files.GENERATOR_PREFIX, versions.weights(version)
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def measured(fitted: FittedHead) -> list[Measurement]:
    """Return what a head warns of, of the worse and of the good validation results."""
    shares = {"warned_worse": fitted.warned_worse, "warned_good": fitted.warned_good}
    return [
        Measurement(split="validation", set="all", metric=metric, value=value)
        for metric, value in shares.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 2 for bad input, 3 when the registry is empty or unreachable."""
    return pack.run(pack_blendshapes, "python -m training.pack_blendshapes", arguments)


if __name__ == "__main__":
    sys.exit(main())
