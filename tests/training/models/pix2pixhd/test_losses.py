"""The losses against plain loops written from their formulas."""

import pytest
import torch

from training.models.pix2pixhd.losses import (
    adversarial,
    expression,
    feature_matching,
    flow_error,
    perceptual,
    pixels,
)

Scales = list[list[torch.Tensor]]


@pytest.fixture
def maps() -> tuple[Scales, Scales]:
    """Return maps of generated and of real pictures: two scales of five layers."""
    torch.manual_seed(0)
    generated, real = (
        [[torch.rand(1, 2, 4, 4) for _ in range(5)] for _ in range(2)] for _ in range(2)
    )
    return generated, real


def test_adversarial_is_least_squares_summed_over_scales(maps: tuple[Scales, Scales]) -> None:
    generated, _ = maps
    for target, real in ((1, True), (0, False)):
        expected = 0.0
        for scale in generated:
            scores = scale[-1].flatten().tolist()
            expected += sum((score - target) ** 2 for score in scores) / len(scores)
        assert float(adversarial(generated, real=real)) == pytest.approx(expected)


def test_feature_matching_is_l1_of_all_layers_except_the_score(maps: tuple[Scales, Scales]) -> None:
    generated, real = maps
    expected = 0.0
    for scale in range(2):
        for layer in range(4):
            difference = (generated[scale][layer] - real[scale][layer]).abs().mean()
            expected += 4 / (3 + 1) / 2 * float(difference)
    assert float(feature_matching(generated, real)) == pytest.approx(expected)


def test_perceptual_is_weighted_l1_fine_to_coarse(maps: tuple[Scales, Scales]) -> None:
    generated, real = maps
    weights = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0]
    each = [float((a - b).abs().mean()) for a, b in zip(generated[0], real[0], strict=True)]
    expected = sum(w * e for w, e in zip(weights, each, strict=True))
    assert float(perceptual(generated[0], real[0], weights)) == pytest.approx(expected)
    coarsest = perceptual(generated[0][:2], real[0][:2], weights)
    assert float(coarsest) == pytest.approx(each[0] / 4 + each[1])


def test_no_gradient_flows_to_the_real_side_of_a_comparison() -> None:
    mine, true = (torch.rand(1, 2, 4, 4, requires_grad=True) for _ in range(2))
    loss = perceptual([mine], [true], [1.0]) + feature_matching([[mine, mine]], [[true, true]])
    loss.backward()
    assert mine.grad is not None
    assert true.grad is None


def test_expression_is_the_squared_distance_of_the_first_16_numbers() -> None:
    difference = torch.randn(3, 20)
    rows = [sum(x**2 for x in row[:16]) for row in difference.tolist()]
    assert float(expression(difference)) == pytest.approx(sum(rows) / 3)


def test_pixels_are_weighted_by_the_difference_of_truth_and_source_around_them() -> None:
    torch.manual_seed(0)
    picture, truth, source = torch.rand(3, 2, 3, 8, 8)
    source[1] = truth[1]
    plain = float((picture - truth).abs().mean())
    assert float(pixels(picture, truth, source, 0.0)) == pytest.approx(plain, abs=1e-6)
    total = 0.0
    for i in range(2):
        change = (truth[i] - source[i]).abs().mean(0)
        around = torch.zeros(8, 8)
        for y in range(8):
            for x in range(8):
                around[y, x] = change[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].mean()
        share = around / around.mean() if i == 0 else around
        for y in range(8):
            for x in range(8):
                weight = 0.3 + 0.7 * float(share[y, x])
                total += weight * float((picture[i] - truth[i])[:, y, x].abs().sum())
    found = float(pixels(picture, truth, source, 0.7))
    assert found == pytest.approx(total / picture.numel(), abs=1e-5)


def test_the_error_of_a_flow_is_its_distance_to_the_true_motion_of_points() -> None:
    flow = torch.zeros(2, 2, 8, 8)
    flow[:, 0] = 0.25
    source, target = torch.zeros(2, 3, 2), torch.zeros(2, 3, 2)
    source[:, :, 0], source[0, 0, 1] = 0.25, 0.5
    target[1, 1], source[1, 1] = 1.5, -1.0  # outside
    source[1, 2] = target[1, 2] = torch.nan
    assert float(flow_error(flow, source, target)) == pytest.approx(0.5 / 4)
