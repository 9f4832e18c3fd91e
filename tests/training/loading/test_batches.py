"""Faces that lie on the device of a training make the batches that faces from the disk make."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from registry.crops import CropSpec
from training.datasets.prepare import toy_set
from training.loading import batches as module
from training.loading.batches import Faces
from training.recipes import RECIPES

SPEC = CropSpec(size_px=24, margin=0.05)


@pytest.fixture(scope="module")
def faces_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Faces]:
    """Return a maker of the same faces of two sets at each call."""
    data = toy_set(tmp_path_factory.mktemp("runs"))
    rows = [np.arange(40), np.array([7, 3, 50])]

    def make() -> Faces:
        return Faces([data, data], rows, SPEC, {"number": np.arange(43)})

    return make


def test_faces_on_a_device_are_those_of_the_disk(
    faces_of: Callable[[], Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 16)
    read, kept = faces_of(), faces_of()
    kept.keep_on(torch.device("cpu"))
    indices = [42, 0, 17, 41, 0]
    expected, found = read.__getitems__(indices), kept.__getitems__(indices)
    assert "faces" not in found
    assert torch.equal(found["number"], expected["number"])
    assert torch.equal(kept.pictures_of(found), expected["faces"])
    assert torch.equal(read.pictures_of(expected), expected["faces"])


@pytest.mark.parametrize(
    ("free", "asked", "fits"), [(4, "auto", False), (5, "auto", True), (9, "no", False)]
)
def test_faces_are_kept_on_a_gpu_if_they_take_a_quarter_of_its_free_memory(
    faces_of: Callable[[], Faces],
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    asked: str,
    fits: bool,
) -> None:
    faces, places = faces_of(), []
    size = len(faces) * 24 * 24 * 3
    monkeypatch.setattr(module, "device_of", lambda _: "cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free * size - 1, 9 * size))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(faces, "keep_on", places.append)
    faces.keep_on_gpu(replace(RECIPES["emotion"], faces_on_gpu=asked, runs=Path("unused")))  # type: ignore[arg-type]
    assert places == ([torch.device("cuda", 0)] if fits else [])
