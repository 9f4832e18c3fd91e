"""python -m training train | summary | prepare | show | evaluate | compare."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import OmitArgPrefixes, Positional

BAD_INPUT, NO_REGISTRY, STOPPED = 2, 3, 130


def train(args: Sequence[str]) -> None:
    """Train a recipe and register the result as a version, without promoting it."""
    import torch

    from training.recipes import RECIPES
    from training.train import train as run

    torch.set_flush_denormal(True)
    # A stopped run resumes to the same numbers; what has no such form on a GPU warns.
    torch.use_deterministic_algorithms(True, warn_only=True)
    prog = "python -m training train"
    described = {name: (_purpose(recipe), recipe) for name, recipe in RECIPES.items()}
    name = next((a for a in args if a in RECIPES), "")
    recipe = tyro.extras.overridable_config_cli(described, args=list(args), prog=prog)
    version = run(name, recipe, f"{prog} {shlex.join(args)}")
    if version:
        print(f"Registered {version.name} version {version.number}.")
        print(f"Serve it: python -m registry promote {version.name} {version.number}")


def summary(args: Sequence[str]) -> None:
    """Print parameters and multiplications of a recipe's network, part by part."""
    from training.recipes import RECIPES, task_of
    from training.summary import summarise

    parser = argparse.ArgumentParser(prog="python -m training summary", description=summary.__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    print(summarise(task_of(RECIPES[parser.parse_args(args).recipe])))


def prepare(args: Sequence[str]) -> None:
    """Cut the faces of a data set once, for every recipe."""
    from training.datasets.fec.reader import DEFAULT, FecOptions
    from training.datasets.prepare import prepare as run

    def main(
        set: Annotated[str, Positional],  # noqa: A002
        source: Annotated[Path | None, Positional],
        dest: Annotated[Path, Positional],
        workers: int | None = None,
        options: Annotated[FecOptions, OmitArgPrefixes] = DEFAULT,
    ) -> None:
        """Cut the faces of a data set once, for every recipe.

        Args:
            set: affectnet, fec, ferplus, folder, ict, lfw-emotion, london, rafd, rafd-frontal,
                rafdb or toy.
            source: the set as its publisher sends it, a zip or its folder; - for toy.
            dest: a new folder, or that of an earlier run, which goes on.
            workers: processes that look for faces; all cores by default.
            options: for fec alone.
        """
        report = run(set, source, dest, workers=workers, options=options)
        print("\n".join([*report.sentences, report.summary]))

    tyro.cli(main, args=list(args), prog="python -m training prepare")


def show(args: Sequence[str]) -> None:
    """Say what a prepared folder holds."""
    from training.datasets.contact_sheet import write_sheet
    from training.datasets.prepare import show as run
    from training.datasets.prepared import Prepared

    parser = argparse.ArgumentParser(prog="python -m training show", description=show.__doc__)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="write a labelled contact sheet")
    said = parser.parse_args(args)
    print(run(said.dest))
    if said.sheet:
        write_sheet(Prepared.open(said.dest), said.sheet)
        print(f"{said.sheet} shows some faces of each emotion.")


def evaluate(args: Sequence[str]) -> None:
    """Measure a version on prepared data; metrics and outcomes go onto the version."""
    import torch

    from training.cards.tables import as_published, lines
    from training.datasets.prepared import Prepared
    from training.evaluate import evaluate as run

    parser = argparse.ArgumentParser(
        prog="python -m training evaluate", description=evaluate.__doc__
    )
    parser.add_argument("reference", metavar="NAME[@alias|/version]")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    said = parser.parse_args(args)
    torch.set_flush_denormal(True)
    measurements = run(said.reference, Prepared.open(said.data), said.split)
    print("\n".join([*lines(measurements), *as_published(measurements)]))


def compare(args: Sequence[str]) -> None:
    """Compare two recipes, trained alike, or two versions, on the same triplets and people."""
    import torch
    from rich.console import Console

    from training import compare as comparison
    from training.datasets.prepared import Prepared

    def main(
        first: Annotated[str, Positional],
        second: Annotated[str, Positional],
        data: tuple[Path, ...] = (),
        versions: bool = False,
        seeds: int = 3,
        epochs: int | None = None,
        split: Literal["train", "validation", "test"] = "test",
        markdown: bool = False,
    ) -> None:
        """Compare two recipes, trained alike, or two versions, on the same triplets and people.

        Args:
            first: a recipe such as dln-compact; with --versions a version such as dln/2.
            second: what it is compared with.
            data: prepared folders to train and compare on; the smoke recipes need none.
            versions: compare registered versions; nothing is trained.
            seeds: trainings of each recipe, with seeds 0, 1, ...
            epochs: of every training; the recipes' own by default.
            split: whose triplets and people are asked about.
            markdown: print the table as Markdown.
        """
        if versions:
            sets = [Prepared.open(folder) for folder in data]
            rows = comparison.compare_versions(first, second, sets, split)
        else:
            rows = comparison.compare_recipes(first, second, data, seeds, epochs, split)
        if markdown:
            print(comparison.markdown(rows, first, second))
            return
        title = f"{split}, 95 % intervals, difference paired"
        Console(width=120).print(comparison.table(rows, first, second, title))

    torch.set_flush_denormal(True)
    tyro.cli(main, args=list(args), prog="python -m training compare")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "summary": summary,
    "prepare": prepare,
    "show": show,
    "evaluate": evaluate,
    "compare": compare,
}


def _purpose(recipe: object) -> str:
    return (type(recipe).__doc__ or "").split("\n")[0]


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        epilog="\n".join(f"{name}: {run.__doc__}" for name, run in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    said = parser.parse_args(argv[:1])
    from registry.versions import RegistryError
    from training.datasets.prepared import PreparedError
    from training.engine.recipe import RecipeError
    from training.engine.task import TrainingError

    try:
        COMMANDS[said.command](argv[1:])
    except (RecipeError, PreparedError, TrainingError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except RegistryError as error:
        print(error, file=sys.stderr)
        return NO_REGISTRY
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
