"""The shipped networks compute the same outputs as when they were trained.

outputs.npz was made with torch 2.15 on a CPU, denormals flushed to zero, at commit f4217dc and for
emotion when it was packed, by the same calls as below: each starter's network in eval mode on the
noise of `inputs`, whole vectors and every 16th pixel of each picture, float32. Starters that are
trained again get new values.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training import seed
from training.starters import files

CHANGE_DIMS = 144
EVERY_PX = 16
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def flushed_denormals() -> Iterator[None]:
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


def noise(seed_value: int, *shape: int) -> Tensor:
    """Return numbers in [0, 1)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed_value))


def inputs(starter: files.Starter) -> tuple[Tensor, ...]:
    """Return two faces, and for a generator two changes of the condition."""
    size = starter.card["crop"]["size_px"]
    faces = noise(0, 2, 3, size, size)
    return (faces, noise(1, 2, CHANGE_DIMS) - 0.5) if starter.name == files.PIX2PIXHD else (faces,)


@pytest.mark.parametrize("name", files.STARTERS)
def test_a_starters_outputs_are_unchanged(name: str) -> None:
    starter = files.Starter.open(name)
    network = seed.NETWORKS[name](starter.card)
    network.load_state_dict(starter.weights())
    with torch.inference_mode():
        outputs = network.eval()(*inputs(starter))
    with np.load(Path(__file__).parent / "outputs.npz") as stored:
        expected = {key: stored[key] for key in stored.files if key.startswith(f"{name}/")}
    assert {f"{name}/{output}" for output in outputs} == set(expected)
    for output, values in outputs.items():
        found = values[..., ::EVERY_PX, ::EVERY_PX] if values.ndim == 4 else values
        np.testing.assert_allclose(
            found.numpy(), expected[f"{name}/{output}"], rtol=0, atol=TOLERANCE, err_msg=output
        )
