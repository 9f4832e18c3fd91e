"""Robustness of networks that react to some changes of a picture and not to others."""

import shutil
import time
from pathlib import Path

import torch
from torch import nn

from registry.crops import CropSpec
from training.datasets.prepared import Prepared
from training.metrics.robustness import CHANGES, latency, moved, robustness

CROP = CropSpec(size_px=48, margin=0.05)


class LeftRight(nn.Module):
    """Computes only whether the left or the right half is brighter, and how bright all is."""

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        left, right = faces[..., :24].mean((1, 2, 3)), faces[..., 24:].mean((1, 2, 3))
        return {"expression": torch.stack([left - right, (left + right) / 100], 1)}


class Classifier(LeftRight):
    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": super().forward(faces)["expression"][:, :1] * torch.tensor([1.0, -1.0])}


def test_a_change_that_alters_outputs_is_measured_and_another_is_zero(
    drawn: Path, tmp_path: Path
) -> None:
    data = Prepared.open(Path(shutil.copytree(drawn, tmp_path / "toy")))
    rows = robustness(LeftRight(), data, "test", CROP)
    assert {row.name for row in rows} == {f"test/toy/robustness/{name}" for name in CHANGES}
    moved_by = {row.group: row.value for row in rows}
    assert moved_by["again"] == 0
    assert moved_by["mirrored"] > 5 * moved_by["brighter"] > 0
    same = {row.group: row.value for row in robustness(Classifier(), data, "test", CROP)}
    assert same["again"] == 1
    assert same["mirrored"] < 0.1
    assert same["brighter"] > 0.9


def test_a_moved_crop_shows_what_lies_to_the_right_and_below() -> None:
    faces = torch.arange(1200.0).view(1, 3, 20, 20)
    assert torch.equal(moved(faces, 0.05)[..., :-1, :-1], faces[..., 1:, 1:])


def test_latency_is_per_face_alone_and_in_a_batch() -> None:
    class Busy(nn.Module):
        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            end = time.perf_counter() + 0.004
            while time.perf_counter() < end:
                pass
            return faces

    alone, in_batch = latency(Busy(), CROP)
    assert (alone.name, in_batch.name) == ("latency_ms/batch 1", "latency_ms/batch 32")
    assert alone.value >= 4
    assert 4 / 32 <= in_batch.value < 4
