"""The arguments of `python -m training sweep`."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, NamedTuple

import tyro
from tyro.conf import FlagCreatePairsOff, UseAppendAction

from registry.console import print_json, print_table

if TYPE_CHECKING:
    from training.sweep.plan import Plan
    from training.sweep.run import Outcome

PROGRAM = "python -m training sweep"


class SweepOptions(NamedTuple):
    """The options of a sweep that aren't the recipe's."""

    trials: int
    workers: int
    ranges: tuple[str, ...]
    storage: str | None
    name: str | None
    as_json: bool


def sweep(arguments: Sequence[str]) -> None:
    """Train a recipe many times with other numbers, chosen by Optuna, and register the best.

    The name of the recipe comes first. Its options are those of `python -m training train RECIPE`,
    but for --workers; what is given a value is not varied. Run the same command again to resume a
    stopped sweep, with a larger --trials to go on with one that has ended. docs/train.md says what
    is varied by default.

    Examples:
      python -m training sweep dln-smoke --trials 3
      python -m training sweep emotion-compact --data data/ferplus --trials 40 --workers 2
      python -m training sweep dln-compact --data data/ferplus --range learning_rate=1e-4:1e-2:log
    """
    options, others = _parse(arguments)
    import torch

    from training.engine.device import compute_repeatably
    from training.sweep.run import sweep as run

    torch.set_flush_denormal(True)
    compute_repeatably()
    plan = _plan(options, others)
    with redirect_stdout(sys.stderr if options.as_json else sys.stdout):
        outcome = run(plan, options.workers)
    if options.as_json:
        print_json(_values(outcome))
    else:
        _print(outcome)


def _parse(arguments: Sequence[str]) -> tuple[SweepOptions, list[str]]:
    """Return the sweep's own options, and the other arguments: the recipe and its options."""

    def main(
        trials: int = 20,
        workers: int = 1,
        range: UseAppendAction[tuple[str, ...]] = (),  # noqa: A002
        storage: str | None = None,
        name: str | None = None,
        as_json: Annotated[bool, FlagCreatePairsOff, tyro.conf.arg(name="json")] = False,
    ) -> SweepOptions:
        """Sweep.

        Args:
            trials: trainings in all, those of earlier calls included.
            workers: processes that train at once on this machine.
            range: what else is varied, or otherwise: NAME=LOW:HIGH, NAME=LOW:HIGH:log or
                NAME=VALUE,VALUE; may be repeated.
            storage: Optuna's database, postgresql+psycopg://HOST/NAME for several machines; by
                default sweeps.db in the folder of --runs.
            name: name of the sweep; by default it follows from the recipe, its options and ranges.
            as_json: print JSON.
        """
        return SweepOptions(trials, workers, range, storage, name, as_json)

    description = "\n".join(
        line.removeprefix("    ") for line in (sweep.__doc__ or "").splitlines()
    )
    options, others = tyro.cli(
        main,
        args=list(arguments),
        prog=PROGRAM,
        description=description,
        return_unknown_args=True,
    )
    return options, list(others)


def _plan(options: SweepOptions, others: list[str]) -> "Plan":
    """Return what the sweep is to do.

    Raises:
        RecipeError: an option can't be used.
    """
    from dataclasses import replace

    from training.engine.recipe import RecipeError
    from training.recipes import RECIPES, SUMMARIES
    from training.sweep.plan import FILE, Plan, check_name, check_storage, default_name
    from training.sweep.range_options import space_of

    name = next((each for each in others if each in RECIPES), "")
    if not name:
        named = next((each for each in others if not each.startswith("-")), "without a name")
        raise RecipeError(f"There is no recipe {named}; choose from {', '.join(RECIPES)}.")
    if options.trials < 1 or options.workers < 1:
        raise RecipeError("A sweep needs at least 1 trial and 1 worker: see --trials, --workers.")
    configs = {each: (SUMMARIES[each], recipe) for each, recipe in RECIPES.items()}
    recipe = tyro.extras.overridable_config_cli(configs, args=others, prog=PROGRAM)
    typed = [each for each in others if each != name]
    given = {
        each.removeprefix("--").partition("=")[0].replace("-", "_")
        for each in typed
        if each.startswith("--")
    }
    plan = Plan(
        name=options.name or "",
        recipe_name=name,
        recipe=recipe,
        space=space_of(recipe, options.ranges, given),
        trials=options.trials,
        storage=options.storage or f"sqlite:///{recipe.runs / FILE}",
        arguments=tuple(typed),
    )
    check_storage(plan.storage)
    check_name(plan.name or name)
    return replace(plan, name=plan.name or default_name(name, plan.settings))


def _values(outcome: "Outcome") -> dict[str, object]:
    """Return what a sweep gave as JSON can hold it."""
    version = outcome.version
    return {
        "sweep": outcome.plan.name,
        "run_id": outcome.plan.parent_run,
        "metric": outcome.plan.objective.metrics[0],
        "best": outcome.best.to_dict() if outcome.best else None,
        "model": version.name if version else None,
        "version": version.number if version else None,
        "trials": [each.to_dict() for each in outcome.trials],
    }


def _print(outcome: "Outcome") -> None:
    from training.sweep import results

    plan, version = outcome.plan, outcome.version
    print_table(results.table(outcome.trials, plan, outcome.best))
    if version is not None:
        print(f"Registered {version.name} version {version.number}, of the best trial (*).")
        print(f"Serve it: python -m registry promote {version.name} --best {plan.name}")
