"""No operator that CUDA refuses an empty batch for is ever called with one.

`interpolate(..., antialias=True)` of an empty batch is "invalid argument" on CUDA, and accepted on
the CPU: here every call with an empty picture fails, whatever the device.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from registry.crops import CropSpec
from tests.browser.networks import Tiny
from tests.training.models.pix2pixhd.examples import Recorder, transfer_batch
from tests.training.models.pix2pixhd.test_terms import WHOLE, Darkening, Halves
from training.datasets.prepared import Prepared
from training.engine.inference import outputs
from training.loading.augmentation import Augmentation
from training.models.pix2pixhd.config import LossWeights
from training.models.pix2pixhd.encoder import Encoder
from training.models.pix2pixhd.pair_augmentation import augment_alike
from training.models.pix2pixhd.terms import GeneratorLoss, total
from training.models.triplets import hierarchy
from training.models.triplets.loss import triplet_loss

SEEDS = 8
REFUSED: set[Callable[..., Any]] = {
    functional.interpolate,
    functional.grid_sample,
    functional.avg_pool2d,
    functional.conv2d,
    torch.conv2d,
}


class RefuseEmpty(TorchFunctionMode):
    """Raises where a picture without a number would be computed, as CUDA does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in REFUSED:
            self.calls += 1
            if not args[0].numel():
                raise RuntimeError(f"{function.__name__}: invalid argument")
        return function(*args, **(kwargs or {}))


@pytest.fixture
def refuse_empty() -> Iterator[RefuseEmpty]:
    with RefuseEmpty() as mode:
        yield mode
    assert mode.calls, "nothing was tested"


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("blur", [0.0, 0.25, 1.0])
def test_few_faces_are_augmented_whether_or_not_one_of_them_is_chosen(
    refuse_empty: RefuseEmpty, size: int, blur: float
) -> None:
    augmentation = Augmentation(blur=blur)
    faces = torch.randint(256, (size, 3, 24, 24), dtype=torch.uint8)
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        assert augmentation(faces).shape == faces.shape
        changed, _ = augment_alike(augmentation, [faces, faces], None)
        assert torch.equal(changed[0], changed[1])
    assert refuse_empty.calls >= SEEDS


@pytest.mark.parametrize("known", [(True,), (False,), (True, True), (False, False), (True, False)])
def test_the_generators_loss_takes_batches_with_and_without_a_truth(
    refuse_empty: RefuseEmpty, known: tuple[bool, ...]
) -> None:
    torch.manual_seed(0)
    crop = CropSpec(size_px=32, margin=0.4)
    network = Tiny(1, {"expression": 16, "identity": 32, "deviation": 4})
    encoder = Encoder(network, CropSpec(size_px=32, margin=0.1), crop, "deviation")
    weights = LossWeights(pixels=1.0, perceptual=1.0, flow=1.0, expression=1.0, cycle=1.0)
    loss = GeneratorLoss(weights=weights, perceptual=Halves(), encoder=encoder, window=WHOLE)
    found = list(loss.terms(transfer_batch(known), Darkening(), Recorder()))
    assert bool(total(found).isfinite())
    named = {term.name for term in found}
    assert ("pixels" in named) == any(known)
    assert ("cycle_pixels" in named) == (not all(known))
    assert refuse_empty.calls


def test_a_batch_without_a_triplet_has_the_loss_0() -> None:
    embeddings = functional.normalize(torch.randn(1, 2, 16), dim=-1).requires_grad_()
    shares = torch.full((2, 8), 0.125)
    triplets = hierarchy.draw(embeddings[0], shares)
    assert len(triplets) == 0
    loss = triplet_loss(embeddings, triplets)
    loss.backward()
    assert float(loss.detach()) == 0
    assert embeddings.grad is not None
    assert not bool(embeddings.grad.any())


def test_a_set_without_a_chosen_face_has_outputs_without_rows(
    refuse_empty: RefuseEmpty, toy: Prepared
) -> None:
    network = nn.Conv2d(3, 4, 3, stride=2)
    none = np.zeros(0, dtype=np.int64)
    found = outputs(network, toy, none, CropSpec(size_px=32, margin=0.05))
    assert found["out"].shape == (0, 4, 15, 15)
    assert refuse_empty.calls == 1
