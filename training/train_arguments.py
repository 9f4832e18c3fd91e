"""How the arguments of `python -m training train` are read: a recipe, its options, and --ray."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from training.engine.recipe import Recipe

PROGRAM = "python -m training train"


def parsed_recipe(arguments: Sequence[str], description: str = "") -> "tuple[str, Recipe]":
    """Return the name of a recipe and the recipe, from the arguments of `train`."""
    from training.recipes import RECIPES, SUMMARIES

    configs = {name: (SUMMARIES[name], recipe) for name, recipe in RECIPES.items()}
    name = next((argument for argument in arguments if argument in RECIPES), "")
    recipe = tyro.extras.overridable_config_cli(
        configs, args=list(arguments), prog=PROGRAM, description=description
    )
    return name, recipe


def ray_workers(arguments: Sequence[str]) -> tuple[int | None, list[str]]:
    """Return N of `--ray N`, None without it, and the other arguments."""
    parser = ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    parser.add_argument("--ray", type=int, metavar="N")
    found, others = parser.parse_known_args(arguments)
    return found.ray, others
