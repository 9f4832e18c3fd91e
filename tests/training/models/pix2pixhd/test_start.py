"""A generator before its training: nearly the identity, or a trained version."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from registry import versions
from training.engine.recipe import RecipeError
from training.models.pix2pixhd.config import Pix2pixHDRecipe
from training.models.pix2pixhd.generator import Generator
from training.models.pix2pixhd.networks import build_generator
from training.train import train


@pytest.fixture
def coarse(recipe: Pix2pixHDRecipe) -> Pix2pixHDRecipe:
    """Train pix2pixhd/1, a generator without an enhancer, and return its recipe."""
    coarse = replace(recipe, network=replace(recipe.network, enhancer="none"), epochs=1)
    assert train("pix2pixhd-smoke", coarse, "python -m training train pix2pixhd-smoke") is not None
    return coarse


def drawn_by(generator: Generator, change: torch.Tensor) -> torch.Tensor:
    """Return the pictures of two fixed faces."""
    with torch.inference_mode():
        picture: torch.Tensor = generator.eval()(faces(), change).picture
    return picture


def faces() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_an_untrained_generator_hardly_changes_the_face(recipe: Pix2pixHDRecipe) -> None:
    change = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    assert (drawn_by(build_generator(recipe), change) - faces()).abs().mean() < 0.1


def test_a_training_starts_from_a_version_that_may_grow(
    recipe: Pix2pixHDRecipe, coarse: Pix2pixHDRecipe
) -> None:
    change = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    trained = versions.load("pix2pixhd/1", "cpu")(faces(), change)["picture"]
    assert (trained - faces()).abs().max() > 1e-3
    started = replace(recipe, start="pix2pixhd/1")
    enhanced = build_generator(started)
    assert enhanced.enhancer is not None
    torch.testing.assert_close(drawn_by(enhanced, change), trained, atol=1e-4, rtol=0)
    longer = replace(started, network=replace(recipe.network, dims=20))
    grown = drawn_by(build_generator(longer), torch.cat([change, torch.randn(2, 4)], 1))
    torch.testing.assert_close(grown, trained, atol=1e-4, rtol=0)
    changes: tuple[dict[str, Any], ...] = (
        {"channels": 4}, {"blocks": 0}, {"condition_input": "planes"}, {"enhancer": "whole"}
    )  # fmt: skip
    for different in changes:
        other = replace(started, network=replace(coarse.network, **different))
        with pytest.raises(RecipeError, match="a generator of another shape"):
            build_generator(other)


def test_a_version_of_another_model_is_refused_as_start(recipe: Pix2pixHDRecipe) -> None:
    with pytest.raises(RecipeError, match="not a generator to start from"):
        build_generator(replace(recipe, start="dln/1"))


def test_a_version_with_unknown_fields_is_refused_as_start(
    recipe: Pix2pixHDRecipe, coarse: Pix2pixHDRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert coarse.network.working_px
    monkeypatch.setattr(versions, "config", lambda _: {"network": {"depth": 4}})
    with pytest.raises(RecipeError, match="pix2pixhd/1 has network settings that"):
        build_generator(replace(recipe, start="pix2pixhd/1"))
