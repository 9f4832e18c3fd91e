from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from training.models.pix2pixhd.discriminator import Discriminator, ProjectedDiscriminator
from training.models.pix2pixhd.generator import (
    Enhancer,
    Generator,
    GeneratorConfig,
    Upsampling,
    Where,
    warped,
)
from training.models.pix2pixhd.losses import (
    adversarial,
    feature_matching,
    misplaced,
    perceptual,
    pixels,
)

SMALL: dict[str, Any] = {"channels": 8, "downsamplings": 2, "blocks": 1}


def last_layer(generator: Generator) -> torch.nn.Conv2d:
    return cast("torch.nn.Conv2d", generator.last[1])


def biased(generator: Generator, place: int, value: float) -> None:
    """Set one bias of the last layer."""
    bias = last_layer(generator).bias
    assert bias is not None
    bias[place] = value


def size(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (GeneratorConfig(), 182_493_443),
        (GeneratorConfig(downsamplings=3), 45_643_523),
        (GeneratorConfig(dims=0), 182_443_267),
        (GeneratorConfig(dims=0, downsamplings=3), 45_593_347),
    ],
)
def test_the_generator_has_the_published_size(config: GeneratorConfig, parameters: int) -> None:
    with torch.device("meta"):
        assert size(Generator(config)) == parameters


def test_the_judges_have_the_published_size() -> None:
    with torch.device("meta"):
        assert size(Discriminator()) == 5_568_386
        assert size(Discriminator(dims=0)) == 5_535_618


def halves(pictures: torch.Tensor) -> list[torch.Tensor]:
    """Return a picture at four sizes, each half the one before: a network without weights."""
    return [torch.nn.functional.avg_pool2d(pictures, 2**i) for i in range(4)]


def test_projected_judges_look_at_source_expression_and_picture_through_a_network() -> None:
    torch.manual_seed(0)
    judges = ProjectedDiscriminator(halves, (3, 3, 3, 3), channels=8)
    assert all(name.startswith("judges.") for name in judges.state_dict())
    condition, picture = torch.rand(2, 19, 24, 32), torch.rand(2, 3, 24, 32, requires_grad=True)
    seen = judges(condition, picture)
    assert [maps[-1].shape[1:] for maps in seen] == [(1, 16, 21), (1, 8, 11)]
    torch.stack([maps[-1].sum() for maps in seen]).sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    for place in (0, 18):
        other = condition.clone()
        other[:, place] += 1
        for mine, theirs in zip(seen, judges(other, picture), strict=True):
            assert (mine[-1] - theirs[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("where", ["planes", "bottleneck"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("enhancer", ["none", "whole", "added"])
def test_every_generator_draws_by_the_expression(
    where: Where, upsampling: Upsampling, enhancer: Enhancer
) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(where=where, upsampling=upsampling, enhancer=enhancer, **SMALL)
    if enhancer == "added":
        config = replace(config, seen_px=16)
    generator = Generator(config).eval()
    source, expression = torch.rand(2, 3, 32, 32), torch.randn(2, 16)
    with torch.inference_mode():
        picture, mask, _ = generator(source, expression)
        other = generator(source, -expression).picture
        alone = generator(source[:1], expression[:1]).picture
    assert picture.shape == source.shape
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    assert (mask == 1).all()
    assert (picture - other).abs().mean() > 1e-3
    torch.testing.assert_close(alone, picture[:1], atol=1e-5, rtol=0)


def test_where_the_mask_is_nought_the_source_stays() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(mask=True, **SMALL)).eval()
    source = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        biased(generator, 3, -1000)
        picture, mask, flow = generator(source, torch.randn(1, 16))
        assert mask.max() < 1e-6
        assert not flow.any()
        torch.testing.assert_close(picture, source)
        biased(generator, 3, 1000)
        assert (generator(source, torch.randn(1, 16)).picture - source).abs().mean() > 0.01


def test_a_flow_fetches_each_pixel_from_where_it_points() -> None:
    source = torch.rand(1, 3, 16, 16)
    flow = torch.zeros(1, 2, 16, 16)
    torch.testing.assert_close(warped(source, flow), source)
    flow[:, 0] = 3 / 8  # three pixels from the right
    torch.testing.assert_close(warped(source, flow)[..., :13], source[..., 3:])
    flow[:, 0], flow[:, 1] = 0, -2 / 8
    torch.testing.assert_close(warped(source, flow)[..., 2:, :], source[..., :14, :])


def test_a_face_that_is_only_moved_keeps_its_colours() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(mask=True, warp=True, **SMALL)).eval()
    last_layer(generator).weight.data[3:] = 0
    source = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        for place, value in ((3, -1000), (4, 0), (5, 0)):
            biased(generator, place, value)
        picture, mask, flow = generator(source, torch.randn(1, 16))
        torch.testing.assert_close(picture, source)
        assert mask.max() < 1e-6
        biased(generator, 4, 5)
        picture, mask, flow = generator(source, torch.randn(1, 16))
    assert flow[0, 0].min() > 0.1
    torch.testing.assert_close(picture, warped(source, flow))
    assert mask.min() > 0.9


def test_a_smaller_look_draws_the_same_in_finer_pixels() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(mask=True, warp=True, seen_px=32, **SMALL)).eval()
    blobs, expression = torch.rand(1, 3, 4, 4), torch.randn(1, 16)
    small, large = (
        torch.nn.functional.interpolate(blobs, (side, side), mode="bilinear") for side in (32, 64)
    )
    with torch.inference_mode():
        one, other = generator(small, expression), generator(large, expression)
    assert other.picture.shape[-1] == 64
    halved = torch.nn.functional.avg_pool2d(other.flow, 2)
    assert (halved - one.flow).abs().max() < 0.1 * one.flow.abs().max()


def test_a_point_is_misplaced_by_its_distance_from_where_it_came() -> None:
    flow = torch.zeros(2, 2, 8, 8)
    flow[:, 0] = 0.25
    source, target = torch.zeros(2, 3, 2), torch.zeros(2, 3, 2)
    source[:, :, 0], source[0, 0, 1] = 0.25, 0.5
    target[1, 1], source[1, 1] = 1.5, -1.0  # outside
    source[1, 2] = target[1, 2] = torch.nan
    assert float(misplaced(flow, source, target)) == pytest.approx(0.5 / 4)


def test_each_scale_judges_half_the_side_of_the_one_before() -> None:
    judges = Discriminator(dims=0, channels=8)
    first, second = judges(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert [m.shape[2] for m in first[:3]] == [33, 17, 9]
    assert [m.shape[2] for m in second[:3]] == [17, 9, 5]
    assert first[-1].shape[1] == 1


def test_losses_are_their_formulas() -> None:
    torch.manual_seed(0)
    seen, real = ([[torch.rand(1, 2, 4, 4) for _ in range(5)] for _ in range(2)] for _ in range(2))
    verdicts = [scale[-1] for scale in seen]
    expected = sum(float(((v - 1) ** 2).mean()) for v in verdicts)
    assert float(adversarial(seen, real=True)) == pytest.approx(expected)
    expected = sum(float((v**2).mean()) for v in verdicts)
    assert float(adversarial(seen, real=False)) == pytest.approx(expected)
    expected = 0.0
    for scale in range(2):
        for layer in range(4):
            difference = (seen[scale][layer] - real[scale][layer]).abs().mean()
            expected += 4 / (3 + 1) / 2 * float(difference)
    assert float(feature_matching(seen, real)) == pytest.approx(expected)
    weights = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0]
    expected = sum(
        w * float((a - b).abs().mean()) for w, a, b in zip(weights, seen[0], real[0], strict=True)
    )
    assert float(perceptual(seen[0], real[0], weights)) == pytest.approx(expected)


def test_the_real_side_of_a_comparison_takes_no_gradient() -> None:
    mine, true = (torch.rand(1, 2, 4, 4, requires_grad=True) for _ in range(2))
    (
        perceptual([mine], [true], [1.0]) + feature_matching([[mine, mine]], [[true, true]])
    ).backward()
    assert mine.grad is not None
    assert true.grad is None


def test_pixels_count_by_how_much_the_truth_differs_from_the_source_around_them() -> None:
    picture, truth, source = torch.rand(3, 2, 3, 8, 8)
    source[1] = truth[1]
    assert float(pixels(picture, truth, source, 0.0)) == pytest.approx(
        float((picture - truth).abs().mean()), abs=1e-6
    )
    total = 0.0
    for i in range(2):
        differs = (truth[i] - source[i]).abs().mean(0)
        around = torch.zeros(8, 8)
        for y in range(8):
            for x in range(8):
                around[y, x] = differs[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].mean()
        share = around / around.mean() if i == 0 else around
        for y in range(8):
            for x in range(8):
                weight = 0.3 + 0.7 * float(share[y, x])
                total += weight * float((picture[i] - truth[i])[:, y, x].abs().sum())
    found = float(pixels(picture, truth, source, 0.7))
    assert found == pytest.approx(total / picture.numel(), abs=1e-5)
