"""Two processes learn what one process with twice the batch learns."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.training.engine import several_processes
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared
from training.datasets.synthetic import toy

BATCHES = {"emotion": 24, "dln": 12}
"""Faces per step of each of the two processes."""
LARGEST_SHARE = 1e-3
"""How far apart rounding may bring both trainings, in ways from the first to the last weights."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return drawn faces with annotated triplets for training."""
    folder = tmp_path_factory.mktemp("annotated") / "toy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "PERSONS", toy.PERSONS | {"train": range(4)})
        read = toy.read

        def annotated(path: Path | None = None) -> toy.RawDataset:
            raw = read(path)
            triplets = toy.draw_triplets(list(raw.pictures), "train", 40)
            return toy.RawDataset(
                source=raw.source,
                pictures=raw.pictures,
                cropped_margin=raw.cropped_margin,
                triplets=pd.concat([triplets, raw.triplets]),
                notes=raw.notes,
            )

        patch.setitem(READERS, "toy", annotated)
        prepare("toy", None, folder)
    assert (Prepared.open(folder).triplets["split"] == "train").sum() == 40  # type: ignore[index]
    return folder


def trained(name: str, processes: int, data: Path, folder: Path) -> dict[str, torch.Tensor]:
    """Train in so many processes, the same number of faces per step in all together."""
    weights = folder / f"{processes}.safetensors"
    batch = BATCHES[name] * 2 // processes
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [*launcher, "--standalone", several_processes.__file__, name, str(batch),
         str(folder / f"runs{processes}"), str(data), str(weights)],
        capture_output=True, text=True, timeout=200, check=False,
        env=os.environ | {"EXPRESSION_STUDIO_STORE": str(folder / "store")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return load_file(weights)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("name", BATCHES)
def test_two_processes_reach_the_weights_of_one_with_twice_the_batch(
    name: str, data: Path, fresh_store: Path
) -> None:
    one, two = (trained(name, count, data, fresh_store.parent) for count in (1, 2))
    assert one.keys() == two.keys()
    first = several_processes.initial_weights(name, data, fresh_store.parent)
    for key, value in one.items():
        apart, moved_by = (float((value - other[key]).float().norm()) for other in (two, first))
        assert apart <= LARGEST_SHARE * moved_by, f"{key}: {apart} of {moved_by}"
    moved = {key for key, value in one.items() if not torch.equal(value, first[key])}
    expected = {"emotion": "emotion.classify.weight", "dln": "crowd.weight_change"}[name]
    assert expected in moved
    assert any("pair.face" in key for key in moved)
    assert not any("pair.identity" in key for key in moved)
