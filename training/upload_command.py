"""The arguments of `python -m training upload`, and how a training's own command is read."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from registry.console import print_json

if TYPE_CHECKING:
    from registry.versions import Version

PROGRAM = "python -m training"
RUNS = Path("runs")


def upload(arguments: Sequence[str]) -> None:
    """Register a finished training whose registry did not answer, as the training would have.

    It may be stopped and repeated: nothing is lost, and nothing is registered twice. Without RUN it
    lists what waits.

    Examples:
      python -m training upload
      python -m training upload runs/dln-smoke-1f0c9a2b3d
    """

    def main(
        run: Annotated[str | None, Positional, tyro.conf.arg(metavar="[RUN]")] = None,
        runs: Path = RUNS,
        as_json: Annotated[bool, FlagCreatePairsOff, tyro.conf.arg(name="json")] = False,
    ) -> None:
        """Upload.

        Args:
            run: the folder of the training, or its name in the folder of runs.
            runs: the folder of runs.
            as_json: print JSON.
        """
        if run is None:
            _print_waiting(runs, as_json)
        else:
            _upload(runs / run if Path(run).name == run else Path(run), as_json)

    description = "\n".join(
        line.removeprefix("    ") for line in (upload.__doc__ or "").splitlines()
    )
    tyro.cli(main, args=list(arguments), prog=f"{PROGRAM} upload", description=description)


def _print_waiting(runs: Path, as_json: bool) -> None:
    from training.engine import origin

    known = {folder: origin.read(folder) for folder in sorted(runs.glob("*-*"))}
    waiting = [str(folder) for folder, found in known.items() if found and found.is_finished]
    if as_json:
        print_json(waiting)
    else:
        print("\n".join(waiting or [f"No finished training waits in {runs}."]))


def _upload(folder: Path, as_json: bool) -> None:
    import torch

    from training.engine import origin
    from training.engine.device import compute_repeatably
    from training.engine.recipe import RecipeError
    from training.engine.run_folder import run_folder
    from training.train import train
    from training.train_arguments import parsed_recipe, ray_workers

    found = origin.read(folder)
    if found is None:
        raise RecipeError(
            f"{folder} holds no training: `{PROGRAM} upload` lists those that wait; one that was "
            "registered is removed."
        )
    if not found.is_finished:
        raise RecipeError(f"The training in {folder} isn't finished: run `{found.command}` again.")
    torch.set_flush_denormal(True)
    compute_repeatably()
    folder = folder.resolve()
    started_in = Path(found.folder) if Path(found.folder).is_dir() else Path.cwd()
    with chdir(started_in), redirect_stdout(sys.stderr if as_json else sys.stdout):
        _, arguments = ray_workers(shlex.split(found.command)[4:])
        name, recipe = parsed_recipe(arguments)
        expected = run_folder(name, recipe).resolve()
        if expected != folder:
            raise RecipeError(
                f"The command of this training, `{found.command}`, trains in {expected} and not in "
                f"{folder}: move the folder there. If the names differ, this program has changed "
                "since: upload with the one that trained."
            )
        version = train(name, recipe, found.command)
    print_registered(version, as_json)


def print_registered(version: "Version | None", as_json: bool) -> None:
    """Print what was registered; None: a network that is only part of others.

    Of several processes of one training the main one prints it.
    """
    from accelerate import PartialState

    from registry.candidates import promote_command

    if not PartialState().is_main_process:
        return
    if as_json:
        registered = (version.name, version.number, version.run_id) if version else (None,) * 3
        print_json(dict(zip(("model", "version", "run_id"), registered, strict=True)))
    elif version:
        print(f"Registered {version.name} version {version.number}.")
        print(f"Serve it: {promote_command(version)}")
