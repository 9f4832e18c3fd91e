"""Changes of a picture that mean nothing, and networks that mind them or don't."""

import time
from pathlib import Path

import torch
from torch import nn

from registry.crops import CropSpec
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.metrics.robustness import CHANGES, latency, moved, robustness

CROP = CropSpec(size_px=48, margin=0.05)


class LeftRight(nn.Module):
    """Sees only whether the left or the right half is brighter, and how bright all is."""

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        left, right = faces[..., :24].mean((1, 2, 3)), faces[..., 24:].mean((1, 2, 3))
        return {"expression": torch.stack([left - right, (left + right) / 100], 1)}


class Named(LeftRight):
    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": super().forward(faces)["expression"][:, :1] * torch.tensor([1.0, -1.0])}


def test_what_a_network_minds_is_told_and_what_it_does_not_mind_is_zero(tmp_path: Path) -> None:
    prepare("toy", None, tmp_path / "toy")
    data = Prepared.open(tmp_path / "toy")
    found = robustness(LeftRight(), data, data.split("test"), CROP)
    assert set(found) == {f"robustness/{name}" for name in CHANGES}
    assert found["robustness/again"] == 0
    assert found["robustness/mirrored"] > 5 * found["robustness/brighter"] > 0
    kept = robustness(Named(), data, data.split("test"), CROP)
    assert kept["robustness/again"] == 1
    assert kept["robustness/mirrored"] < 0.1
    assert kept["robustness/brighter"] > 0.9


def test_a_moved_crop_shows_what_lies_to_the_right_and_below() -> None:
    faces = torch.arange(1200.0).view(1, 3, 20, 20)
    assert torch.equal(moved(faces, 0.05)[..., :-1, :-1], faces[..., 1:, 1:])


def test_latency_is_told_for_one_face_alone_and_of_many() -> None:
    class Busy(nn.Module):
        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            end = time.perf_counter() + 0.004
            while time.perf_counter() < end:
                pass
            return faces

    found = latency(Busy(), CROP)
    assert found["latency_ms/batch_1"] >= 4
    assert 4 / 32 <= found["latency_ms/batch_32"] < 4
