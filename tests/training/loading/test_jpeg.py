"""JPEG as a GPU computes it, against Pillow's files."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from training.loading import jpeg


@pytest.fixture(scope="module")
def face(examples: Path) -> Image.Image:
    """Return a face whose sides are no multiples of a block's."""
    with Image.open(examples / "angry_02.jpg") as photo:
        return photo.convert("RGB").resize((84, 90))


@pytest.mark.parametrize("quality", [10, 20, 50, 80, 95])
def test_compressed_faces_look_like_pillows(face: Image.Image, quality: int) -> None:
    stored = io.BytesIO()
    face.save(stored, "JPEG", quality=quality)
    expected = pil_to_tensor(Image.open(stored)).int()
    original = pil_to_tensor(face)
    found = jpeg.compressed(original[None], torch.tensor([quality]))[0].int()
    lost = float((expected - original.int()).abs().float().mean())
    assert found.shape == original.shape
    assert float((found - expected).abs().float().mean()) < min(1.0, lost / 2)


def test_each_face_has_its_own_quality(face: Image.Image) -> None:
    original = pil_to_tensor(face)
    both = jpeg.compressed(torch.stack([original, original]), torch.tensor([10, 90]))
    alone = [jpeg.compressed(original[None], torch.tensor([q]))[0] for q in (10, 90)]
    assert torch.equal(both, torch.stack(alone))
    errors = (both.int() - original.int()).abs().float().mean((1, 2, 3))
    assert float(errors[0]) > 2 * float(errors[1])


def test_the_transform_is_orthogonal() -> None:
    matrix = np.array(jpeg.DCT).reshape(jpeg.SIDE, jpeg.SIDE)
    assert np.allclose(matrix @ matrix.T, np.eye(jpeg.SIDE))
