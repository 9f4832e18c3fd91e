from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.generator_config import (
    ConditionInput,
    Enhancer,
    GeneratorConfig,
    Upsampling,
)
from training.models.pix2pixhd.resampling import warped

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


@pytest.mark.parametrize("condition_input", ["planes", "bottleneck"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("enhancer", ["none", "whole", "added"])
def test_every_generator_depends_on_the_expression(
    condition_input: ConditionInput, upsampling: Upsampling, enhancer: Enhancer
) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(
        condition_input=condition_input, upsampling=upsampling, enhancer=enhancer, **SMALL
    )
    if enhancer == "added":
        config = replace(config, working_px=16)
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


def test_pixels_with_mask_0_are_the_sources() -> None:
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


def test_a_flow_is_the_offset_from_which_each_pixel_is_read() -> None:
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


def test_a_larger_picture_gets_the_same_flow_in_finer_pixels() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(mask=True, warp=True, working_px=32, **SMALL)).eval()
    blobs, expression = torch.rand(1, 3, 4, 4), torch.randn(1, 16)
    small, large = (
        torch.nn.functional.interpolate(blobs, (side, side), mode="bilinear") for side in (32, 64)
    )
    with torch.inference_mode():
        one, other = generator(small, expression), generator(large, expression)
    assert other.picture.shape[-1] == 64
    halved = torch.nn.functional.avg_pool2d(other.flow, 2)
    assert (halved - one.flow).abs().max() < 0.1 * one.flow.abs().max()
