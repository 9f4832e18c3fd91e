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

pytestmark = [
    pytest.mark.slow, pytest.mark.xdist_group("processes"), pytest.mark.timeout(500)
]  # fmt: skip
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


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train all recipes in one process and in two, and return the folder of their weights."""
    folder = tmp_path_factory.mktemp("weights")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    for start in ((), launcher):
        done = subprocess.run(
            [sys.executable, *start, several_processes.__file__, str(data), str(folder)],
            capture_output=True, text=True, timeout=200, check=False,
            env=os.environ | {"EXPRESSION_STUDIO_STORE": str(folder / "store")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", several_processes.BATCHES)
def test_two_processes_reach_the_weights_of_one_with_twice_the_batch(
    name: str, data: Path, folder: Path
) -> None:
    one, two = (load_file(several_processes.weights_file(folder, name, count)) for count in (1, 2))
    assert one.keys() == two.keys()
    first = several_processes.initial_weights(name, data, folder)
    for key, value in one.items():
        apart, moved_by = (float((value - other[key]).float().norm()) for other in (two, first))
        assert apart <= LARGEST_SHARE * moved_by, f"{key}: {apart} of {moved_by}"
    moved = {key for key, value in one.items() if not torch.equal(value, first[key])}
    expected = {"emotion": "emotion.classify.weight", "dln": "crowd.weight_change"}[name]
    assert expected in moved
    assert any("pair.face" in key for key in moved)
    assert not any("pair.identity" in key for key in moved)
