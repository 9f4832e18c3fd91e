"""python -m training.pack_identity FILE DATA...: pack a published MobileFaceNet as a starter."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor

from registry.crops import CropSpec, to_tensor
from registry.measurements import Measurement
from registry.metrics.estimates import Quantity
from training.datasets.prepared import Prepared
from training.engine.inference import outputs
from training.metrics import identity_trials
from training.metrics.identity_leak import leak
from training.metrics.verification import verification_auc
from training.models.backbones import folded
from training.models.backbones.mobilefacenet import FRAME_MARGIN, FRAME_PX, MobileFaceNet
from training.starters import files

FACES_OF_SET = 512
CROP = CropSpec(size_px=FRAME_PX, margin=FRAME_MARGIN)
ORIGIN = {
    "trained_by": "others: published under Apache-2.0 as mobilefacenet.onnx, a face recognition "
    "network of 128 outputs; see NOTICE. We rewrote the network, put its weights into it, and gave "
    "its batch normalisations the statistics of the faces named under data, which changes no "
    "output.",
    "learned_from": "MS-Celeb-1M, pictures of famous people collected from the web, since "
    "withdrawn by its makers. The distilled identity-compact learned from its vectors.",
    "licence": "Apache-2.0",
    "not_for": "identifying people. It is the part of the DLN that is subtracted. It no longer "
    "evaluates anything independently of a DLN that contains it.",
}


def pack_identity(
    file: Annotated[Path, tyro.conf.Positional],
    data: Annotated[tuple[Path, ...], tyro.conf.Positional],
) -> None:
    """Pack a published MobileFaceNet, and measure it on the persons of prepared sets.

    Args:
        file: its weights as ONNX.
        data: prepared sets whose training faces give its batch normalisations their statistics.
    """
    sets = [Prepared.open(folder) for folder in data]
    state = folded.with_statistics(folded.read(file), torch.cat([_faces(each) for each in sets]))
    network = MobileFaceNet().eval()
    network.load_state_dict({k: _as_stored(v) for k, v in state.items()})
    card = {
        "model": files.MOBILEFACENET,
        "recipe": files.MOBILEFACENET,
        "command": f"python -m training.pack_identity {file.name} {' '.join(map(str, data))}",
        **ORIGIN,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "data": [{"name": each.name, "digest": each.digest} for each in sets],
        "faces_of_set": FACES_OF_SET,
        "seed": 0,
        "crop": asdict(CROP),
        "config": {"backbone": {"name": files.MOBILEFACENET}},
    }
    measured = [row for each in sets for row in _measurements(network, each)]
    path = files.write(files.MOBILEFACENET, state, card, measured)
    sys.stdout.write(f"{path} holds {path.stat().st_size / 1e6:.2f} MB.\n")


def _faces(data: Prepared) -> Tensor:
    rows = np.random.default_rng(0).permutation(data.split("train"))[:FACES_OF_SET]
    return to_tensor(list(data.faces(CROP)[np.sort(rows)]))


def _as_stored(value: Tensor) -> Tensor:
    return value.half().float() if value.ndim > 1 else value


def _measurements(network: MobileFaceNet, data: Prepared) -> Iterator[Measurement]:
    """Yield how well it tells persons apart, and how seldom it tells expressions, by split."""
    for split in ("validation", "test"):
        rows = data.split(split)
        if not len(rows):
            continue
        vectors = outputs(network, data, rows, CROP)["out"]
        auc = verification_auc(vectors, data, rows)
        if auc is not None:
            yield Measurement(split=split, set=data.name, metric="verification_auc", value=auc)
        of_all = np.full((len(data.index), network.width), np.nan, np.float32)
        of_all[rows] = vectors
        found = leak(of_all, data, identity_trials.trials(data, split))
        estimate = found.get(Quantity(identity_trials.ADVERSARIAL))
        if estimate is not None:
            low, high = estimate.interval()
            row = Measurement(
                split=split, set=data.name, metric="adversarial", value=estimate.value
            )
            yield replace(row, low=low, high=high)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 for bad input."""
    try:
        tyro.cli(pack_identity, args=arguments, prog="python -m training.pack_identity")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
