"""The discriminators' shape, and their loss."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from tests.training.models.pix2pixhd.examples import Recorder
from training.engine.recipe import RecipeError
from training.engine.task import TrainingError
from training.models.pix2pixhd.config import DiscriminatorConfig
from training.models.pix2pixhd.discriminator import Discriminator, ProjectedDiscriminator
from training.models.pix2pixhd.discriminator_loss import DiscriminatorLoss
from training.models.pix2pixhd.networks import build_projected_discriminators
from training.models.pix2pixhd.perceptual import MEAN, SQUEEZE_TAPS, STD, Perceptual
from training.models.pix2pixhd.transfers import DiscriminatorBatch


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def halves(pictures: Tensor) -> list[Tensor]:
    """Return a picture at four sizes, each half the one before: a network without weights."""
    return [nn.functional.avg_pool2d(pictures, 2**i) for i in range(4)]


@pytest.fixture
def batch() -> DiscriminatorBatch:
    torch.manual_seed(0)
    return DiscriminatorBatch(torch.rand(2, 19, 24, 32), *torch.rand(2, 2, 3, 24, 32))


def test_the_discriminators_have_the_published_size() -> None:
    with torch.device("meta"):
        assert size(Discriminator()) == 5_568_386
        assert size(Discriminator(dims=0)) == 5_535_618


def test_each_scale_has_half_the_side_of_the_one_before() -> None:
    discriminator = Discriminator(dims=0, channels=8)
    first, second = discriminator(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert [m.shape[2] for m in first[:3]] == [33, 17, 9]
    assert [m.shape[2] for m in second[:3]] == [17, 9, 5]
    assert first[-1].shape[1] == 1


def test_projected_discriminators_depend_on_source_expression_and_picture(
    batch: DiscriminatorBatch,
) -> None:
    discriminator = ProjectedDiscriminator(halves, (3, 3, 3, 3), channels=8)
    condition, picture = batch.condition, batch.generated.requires_grad_()
    maps = discriminator(condition, picture)
    assert [each[-1].shape[1:] for each in maps] == [(1, 16, 21), (1, 8, 11)]
    torch.stack([each[-1].sum() for each in maps]).sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    for place in (0, 18):
        other = condition.clone()
        other[:, place] += 1
        for mine, theirs in zip(maps, discriminator(other, picture), strict=True):
            assert (mine[-1] - theirs[-1]).abs().max() > 1e-3


def test_projected_discriminators_need_a_perceptual_network_and_leave_it_as_it_is(
    batch: DiscriminatorBatch,
) -> None:
    config = DiscriminatorConfig(input="perceptual", channels=8)
    with pytest.raises(RecipeError, match=r"name it with --perceptual\.network, or use --disc"):
        build_projected_discriminators(config, None)
    features = squeezenet1_1(weights=None).features
    network = Perceptual(features, SQUEEZE_TAPS, MEAN, STD)
    before = [p.clone() for p in network.parameters()]
    discriminators = build_projected_discriminators(config, network)
    DiscriminatorLoss().update(discriminators, batch).loss.backward()
    assert all(p.grad is not None for p in discriminators.parameters())
    after = list(network.parameters())
    assert not {id(p) for p in after} & {id(p) for p in discriminators.parameters()}
    assert all(p.grad is None and torch.equal(p, q) for p, q in zip(after, before, strict=True))


def test_the_loss_is_half_of_real_and_generated_without_gradient_to_the_generator(
    batch: DiscriminatorBatch,
) -> None:
    generated = batch.generated.requires_grad_()
    network = Recorder()
    update = DiscriminatorLoss().update(network, batch._replace(generated=generated * 1))
    real, fake = (each.mean((1, 2, 3)) for each in (batch.real, batch.generated))
    expected = (real - 1).square().mean() / 2 + fake.square().mean() / 2
    assert float(update.loss) == pytest.approx(float(expected))
    assert not update.loss.requires_grad
    assert update.optimiser == "discriminator"
    assert [condition is batch.condition for condition, _ in network.inputs] == [True, True]


class Oracle(nn.Module):
    """Scores a picture by its mean: 1 for one of ones (real), 0 for one of zeros."""

    def forward(self, _: Tensor, picture: Tensor) -> list[list[Tensor]]:
        score = picture.mean((1, 2, 3), keepdim=True)
        return [[score, score]]


def test_discriminators_that_always_win_stop_the_training(batch: DiscriminatorBatch) -> None:
    loss, patience = DiscriminatorLoss(patience=3), 3
    won = batch._replace(real=torch.ones(2, 3, 8, 8), generated=torch.zeros(2, 3, 8, 8))
    for _ in range(patience - 1):
        loss.update(Oracle(), won)
    loss.update(Oracle(), batch)  # one that is not won starts the count again
    for _ in range(patience - 1):
        loss.update(Oracle(), won)
    with pytest.raises(TrainingError, match=r"picture for 3 steps.* Try a lower --losses"):
        loss.update(Oracle(), won)
