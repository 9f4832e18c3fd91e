"""config.json rebuilds the networks that recipes train."""

import json
from dataclasses import asdict

import pytest

from registry.catalog import EMOTIONS
from training.engine.recipe import RecipeError
from training.models.pix2pixhd.networks import GeneratorWrapper
from training.networks import build
from training.recipes import RECIPES, task_of


@pytest.mark.parametrize("name", ["dln", "fecnet", "emotion", "pix2pixhd"])
def test_the_weights_of_a_recipe_fit_the_network_built_from_its_configuration(name: str) -> None:
    recipe = RECIPES[f"{name}-smoke"]
    config = json.loads(json.dumps({"network": asdict(recipe.network)}))
    built = build(name, config, EMOTIONS[:7])
    if name == "pix2pixhd":
        trained = GeneratorWrapper(task_of(recipe).generator)
    else:
        task = task_of(recipe)
        task.labels = EMOTIONS[:7]
        trained = getattr(task, {"emotion": "classifier"}.get(name, name))
    built.load_state_dict(trained.state_dict())


@pytest.mark.parametrize(
    "config",
    [{}, {"network": {}}, {"network": {"backbone": {"name": "other"}}}, {"network": {"depth": 3}}],
)
def test_a_configuration_of_another_program_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="none that this program knows"):
        build("dln", config)
