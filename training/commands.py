"""The arguments of each command; a command imports its modules when it runs."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

from registry import console
from registry.console import print_json
from training.reexport_command import reexport
from training.sweep_command import sweep
from training.upload_command import upload

PROGRAM = "python -m training"
Arguments = Sequence[str]
Split = Literal["train", "validation", "test"]
Data = Annotated[Path, Positional, tyro.conf.arg(metavar="DATA")]
Reference = Annotated[str, Positional, tyro.conf.arg(metavar="NAME[@alias|/version]")]
Flag = Annotated[bool, FlagCreatePairsOff]
Json = Annotated[bool, FlagCreatePairsOff, tyro.conf.arg(name="json")]
JSON_FLAG, OFFLINE_FLAG = "--json", "--offline"


def train(arguments: Arguments) -> None:
    """Train a recipe and register the result as a version, without promoting it.

    Run the same command again to resume a stopped training from its last checkpoint.
    `python -m training train RECIPE --help` lists a recipe's options with their defaults.
    --json prints the version as JSON. --ray N trains in N processes of Ray, here or on the
    cluster at RAY_ADDRESS. --offline trains without the registry; `upload` registers later.

    Examples:
      python -m training train dln-smoke
      python -m training train dln-compact --data data/ferplus data/rafdb
      python -m training train emotion-compact --data data/ferplus --start dln@production
    """
    from training.engine.device import compute_repeatably
    from training.engine.recipe import RecipeError
    from training.ray_training import train_on_ray
    from training.train import train as run
    from training.train_arguments import parsed_recipe, ray_workers
    from training.upload_command import print_registered

    _flush_denormals()
    compute_repeatably()
    as_json, offline = JSON_FLAG in arguments, OFFLINE_FLAG in arguments
    arguments = [each for each in arguments if each not in (JSON_FLAG, OFFLINE_FLAG)]
    command = f"{PROGRAM} train {shlex.join(arguments)}"
    workers, arguments = ray_workers(arguments)
    if workers is not None and offline:
        raise RecipeError("--ray trains with the registry: leave out --offline, or --ray.")
    name, recipe = parsed_recipe(arguments, _description(train))
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        if workers is None:
            version = run(name, recipe, command, offline=offline)
        else:
            version = train_on_ray(name, recipe, command, workers)
    print_registered(version, as_json)


def evaluate(arguments: Arguments) -> None:
    """Measure a version on prepared data; measurements and outcomes are stored with the version.

    Examples:
      python -m training evaluate dln data/ferplus
      python -m training evaluate emotion/3 data/rafdb --split validation
    """

    def main(
        reference: Reference, data: Data, split: Split = "test", as_json: Json = False
    ) -> None:
        """Measure a version.

        Args:
            reference: the version: dln is the one in production, dln/3 the third.
            data: a prepared folder.
            split: the part of the data to measure on.
            as_json: print JSON.
        """
        from registry.measurements import to_rows
        from training.cards.tables import as_published, lines
        from training.datasets.prepared import Prepared
        from training.evaluate import log, measure

        _flush_denormals()
        evaluation = measure(reference, Prepared.open(data), split)
        if as_json:
            print_json(to_rows(evaluation.rows))
        else:
            print("\n".join([*lines(evaluation.rows), *as_published(evaluation.rows)]), flush=True)
        log(evaluation)

    _run(main, evaluate, arguments)


def compare(arguments: Arguments) -> None:
    """Compare two recipes, which are trained first, or two versions, on triplets and persons.

    Examples:
      python -m training compare dln-compact fecnet-compact --data data/ferplus
      python -m training compare dln/1 dln/2 --versions --data data/ferplus data/london
    """

    def main(
        first: Annotated[str, Positional, tyro.conf.arg(metavar="FIRST")],
        second: Annotated[str, Positional, tyro.conf.arg(metavar="SECOND")],
        data: tuple[Path, ...] = (),
        versions: Flag = False,
        seeds: int = 3,
        epochs: int | None = None,
        split: Split = "test",
        markdown: Flag = False,
        as_json: Json = False,
    ) -> None:
        """Compare.

        Args:
            first: a recipe such as dln-compact; with --versions a version such as dln/2.
            second: the other one.
            data: prepared folders to train and compare on; the smoke recipes need none.
            versions: compare registered versions; nothing is trained.
            seeds: trainings of each recipe, with seeds 0, 1, ...; with one, no interval is shown.
            epochs: of every training; the recipes' own by default.
            split: the part of the data to measure on.
            markdown: print Markdown.
            as_json: print JSON.
        """
        from training import compare as comparison
        from training.datasets.prepared import Prepared

        _flush_denormals()
        intervals = versions or seeds > 1
        if versions:
            rows = comparison.compare_versions(first, second, [*map(Prepared.open, data)], split)
        else:
            rows = comparison.compare_recipes(first, second, data, seeds, epochs, split)
        if as_json:
            print_json([row.to_dict(intervals) for row in rows])
        elif markdown:
            print(comparison.markdown(rows, first, second, intervals))
        else:
            console.print_table(comparison.table(rows, first, second, split, intervals))

    _run(main, compare, arguments)


def summary(arguments: Arguments) -> None:
    """Print parameters and multiplications of a recipe's network, part by part.

    Examples:
      python -m training summary dln
    """

    def main(
        recipe: Annotated[str, Positional, tyro.conf.arg(metavar="RECIPE")], as_json: Json = False
    ) -> None:
        """Count.

        Args:
            recipe: name of the recipe; `python -m training train --help` lists all.
            as_json: print JSON.
        """
        from training.engine.recipe import RecipeError
        from training.recipes import RECIPES, task_of
        from training.summary import count_parts, summarise

        if recipe not in RECIPES:
            raise RecipeError(f"There is no recipe {recipe}; choose from {', '.join(RECIPES)}.")
        parts = count_parts(task_of(RECIPES[recipe]))
        if as_json:
            print_json([part._asdict() for part in parts])
        else:
            print(summarise(parts))

    _run(main, summary, arguments)


def prepare(arguments: Arguments) -> None:
    """Cut the faces of a data set once, for every recipe.

    It may be stopped at any time: run the same command again to continue. SET is one of:
      folder                     your photos: EXPRESSION/FILE, PERSON/EXPRESSION.jpg or
                                 PERSON/EXPRESSION/FILE, alone or in train, val and test;
                                 expressions are neutral, happy, sad, ...
      affectnet                  as published, in class folders, or with labels.csv
      rafdb                      as published, or train/1/FILE with train_labels.csv
      fer2013                    fer2013.csv with pixels, train/angry/FILE, or Parquet
      ferplus lfw-emotion london what the shipped networks learned from; ferplus also as Parquet
      rafd rafd-frontal kdef jaffe ckplus: people in a studio, by the names of the files
      fec                        the triplets of FEC, whose photos are downloaded
      ict ict-pairs toy          faces that this program renders or draws
    SOURCE is a zip or a folder, - for toy; docs/formats.md lists all layouts.

    Examples:
      python -m training prepare toy - data/toy
      python -m training prepare ferplus downloads/ferplus.zip data/ferplus
    """
    from training.datasets.fec.reader import DEFAULT, FecOptions
    from training.datasets.prepare import prepare as run

    def main(
        set: Annotated[str, Positional, tyro.conf.arg(metavar="SET")],  # noqa: A002
        source: Annotated[Path | None, Positional, tyro.conf.arg(metavar="SOURCE")],
        dest: Annotated[Path, Positional, tyro.conf.arg(metavar="DEST")],
        workers: int | None = None,
        options: Annotated[FecOptions, OmitArgPrefixes] = DEFAULT,
        ray: Flag = False,
        as_json: Json = False,
    ) -> None:
        """Prepare a set.

        Args:
            set: name of the set, one of those above.
            source: the set as published, a zip or its folder; - for toy.
            dest: a new folder, or that of an earlier run, to continue it.
            workers: number of processes that look for faces; all cores by default.
            options: only for fec.
            ray: cut in processes of Ray, on this machine or on the cluster at RAY_ADDRESS.
            as_json: print JSON.
        """
        report = run(set, source, dest, workers=workers, options=options, on_ray=ray)
        if as_json:
            print_json(report.to_dict())
        else:
            print("\n".join([*report.sentences, report.summary]))

    _run(main, prepare, arguments)


def show(arguments: Arguments) -> None:
    """Print what a prepared folder holds.

    Examples:
      python -m training show data/ferplus
      python -m training show data/ferplus --sheet ferplus.png
    """

    def main(data: Data, sheet: Path | None = None, as_json: Json = False) -> None:
        """Show.

        Args:
            data: a prepared folder.
            sheet: write a picture with some faces of each emotion to this PNG file.
            as_json: print JSON.
        """
        from training.datasets.prepare import show as run
        from training.datasets.show import counts

        if as_json:
            print_json(counts(data))
        else:
            print(run(data))
        if sheet:
            from training.datasets.contact_sheet import write_sheet
            from training.datasets.prepared import Prepared

            write_sheet(Prepared.open(data), sheet)
            print(f"{sheet} shows some faces of each emotion.")

    _run(main, show, arguments)


COMMANDS: Mapping[str, Callable[[Arguments], None]] = {
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "summary": summary,
    "prepare": prepare,
    "show": show,
    "reexport": reexport,
    "upload": upload,
    "sweep": sweep,
}


def _run(main: Callable[..., None], command: Callable[..., Any], arguments: Arguments) -> None:
    """Parse the arguments of a command and run it."""
    tyro.cli(
        main,
        args=list(arguments),
        prog=f"{PROGRAM} {command.__name__}",
        description=_description(command),
    )


def _description(command: Callable[..., Any]) -> str:
    """Return a docstring for the terminal: without its indentation, line by line."""
    return "\n".join(line.removeprefix("    ") for line in (command.__doc__ or "").splitlines())


def _flush_denormals() -> None:
    """Compute with 0 in place of the tiny numbers that are slow on a CPU."""
    import torch

    torch.set_flush_denormal(True)
