"""Each weight of the recipe enables one term of the generator's loss."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from registry.crops import CropSpec
from tests.browser.networks import Tiny
from tests.training.models.pix2pixhd.examples import Recorder, transfer_batch
from training.models.pix2pixhd import losses
from training.models.pix2pixhd.config import LossWeights
from training.models.pix2pixhd.encoder import Encoder
from training.models.pix2pixhd.generator import Transferred
from training.models.pix2pixhd.terms import GeneratorLoss, total
from training.models.pix2pixhd.transfers import TransferBatch

OFF = LossWeights(adversarial=0.0, feature_matching=0.0, perceptual=0.0)
WHOLE = (0.0, 1.0, 0.0, 1.0)


class Halves(nn.Module):
    """A perceptual network without weights: a picture and its halves."""

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [pictures, avg_pool2d(pictures, 2)]


class Darkening(nn.Module):
    """A generator that darkens faces by the sum of their change."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.01))

    def forward(self, faces: Tensor, change: Tensor) -> Transferred:
        picture = faces - change.sum(1)[:, None, None, None] * self.share
        return Transferred(picture, faces[:, :1], faces[:, :2])


@pytest.fixture
def encoder() -> Encoder:
    network = Tiny(1, {"expression": 16, "identity": 32, "deviation": 4})
    inner, crop = CropSpec(size_px=32, margin=0.1), CropSpec(size_px=32, margin=0.4)
    return Encoder(network, inner, crop, "deviation")


@pytest.fixture
def batch() -> TransferBatch:
    torch.manual_seed(0)
    return transfer_batch((True, True, False))


def terms(
    weights: LossWeights,
    encoder: Encoder,
    batch: TransferBatch,
    discriminator: nn.Module | None = None,
) -> dict[str, float]:
    """Return the terms' values by name."""
    loss = GeneratorLoss(weights=weights, perceptual=Halves(), encoder=encoder, window=WHOLE)
    found = list(loss.terms(batch, Darkening(), discriminator))
    values = {term.name: float(term.value.detach()) for term in found}
    assert float(total(found).detach()) == pytest.approx(sum(values.values()))
    return values


def pixel_error(batch: TransferBatch) -> float:
    picture, known = batch.result.picture, batch.known
    return float(losses.pixels(picture[known], batch.target[known], batch.source[known], 0.7))


def perceptual_error(batch: TransferBatch) -> float:
    error = (batch.result.picture - batch.target)[batch.known]
    return float(error.abs().mean() / 4 + avg_pool2d(error, 2).abs().mean())


def test_without_weights_there_is_no_loss(encoder: Encoder, batch: TransferBatch) -> None:
    assert terms(OFF, encoder, batch) == {"mask_penalty": 0}


def test_pixels_and_maps_are_compared_if_there_is_a_truth(
    encoder: Encoder, batch: TransferBatch
) -> None:
    weights = LossWeights(pixels=2.0, changed_share=0.7, perceptual=3.0)
    found = terms(weights, encoder, batch)
    assert found["pixels"] == pytest.approx(2 * pixel_error(batch))
    assert found["perceptual"] == pytest.approx(3 * perceptual_error(batch))
    without = transfer_batch((False, False))
    assert terms(weights, encoder, without) == {"mask_penalty": 0}


def test_flow_and_mask(encoder: Encoder, batch: TransferBatch) -> None:
    found = terms(LossWeights(perceptual=0.0, flow=2.0, mask=3.0), encoder, batch)
    assert batch.points is not None
    error = losses.flow_error(batch.result.flow, batch.points[:, 0], batch.points[:, 1])
    assert found == {
        "flow": pytest.approx(2 * float(error)),
        "mask_penalty": pytest.approx(3 * float(batch.result.mask.mean())),
    }


def test_the_expression_of_every_result_is_compared_with_the_wanted_one(
    encoder: Encoder, batch: TransferBatch
) -> None:
    found = terms(LossWeights(perceptual=0.0, expression=2.0), encoder, batch)
    difference = encoder(batch.result.picture)["expression"] - batch.wanted[:, :16]
    assert found["expression"] == pytest.approx(2 * float(difference.square().sum(1).mean()))


def test_the_cycle_is_compared_with_the_source_if_there_is_no_truth(
    encoder: Encoder, batch: TransferBatch
) -> None:
    found = terms(LossWeights(perceptual=0.0, pixels=2.0, cycle=3.0), encoder, batch)
    result, source = batch.result.picture[2:].detach(), batch.source[2:]
    reached = encoder(result)["condition"]
    own = batch.wanted[2:] - batch.change[2:]
    back = Darkening()(result, own - reached).picture.detach()
    error = float((back - source).abs().mean())
    assert found["cycle_pixels"] == pytest.approx(3 * 2 * error, rel=1e-4)
    assert found["pixels"] == pytest.approx(2 * float(losses.pixels(
        batch.result.picture[:2], batch.target[:2], batch.source[:2], 0.0
    )))  # fmt: skip
    with_truth = transfer_batch((True, True))
    assert "cycle_pixels" not in terms(LossWeights(cycle=3.0, pixels=1.0), encoder, with_truth)


def test_no_gradient_of_the_cycle_reaches_the_result(
    encoder: Encoder, batch: TransferBatch
) -> None:
    weights = LossWeights(perceptual=0.0, pixels=1.0, cycle=1.0)
    loss = GeneratorLoss(weights=weights, perceptual=None, encoder=encoder, window=WHOLE)
    generator, picture = Darkening(), batch.result.picture.requires_grad_()
    total([t for t in loss.terms(batch, generator, None) if t.name == "cycle_pixels"]).backward()
    assert generator.share.grad is not None
    assert picture.grad is None


def test_discriminators_score_all_results_and_compare_those_with_a_truth(
    encoder: Encoder, batch: TransferBatch
) -> None:
    weights = LossWeights(perceptual=0.0, adversarial=2.0, feature_matching=3.0)
    found = terms(weights, encoder, batch, Recorder())
    scores = batch.result.picture.mean((1, 2, 3))
    real = batch.target.mean((1, 2, 3))
    assert found["adversarial"] == pytest.approx(2 * float((scores - 1).square().mean()))
    distance = (scores - real)[batch.known].abs().mean()
    assert found["feature_matching"] == pytest.approx(3 * 4 * float(distance))
    unknown = terms(weights, encoder, transfer_batch((False,)), Recorder())
    assert unknown.keys() == {"adversarial", "mask_penalty"}
