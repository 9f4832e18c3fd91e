"""python -m training.pack SOURCE: pack a trained network as a shipped starter."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import tyro
from safetensors.torch import load_file
from torch import Tensor

from registry import artifacts, measurements, outcomes, versions
from registry.temporary import TemporaryFolder
from registry.versions import RegistryError
from training.engine.tracking import card_of, curves
from training.seed import write_graphs
from training.starters import files

BAD_INPUT, NO_REGISTRY = 2, 3
Source = Annotated[str, tyro.conf.Positional]


def pack(source: Source) -> None:
    """Pack a trained network as the starter that its recipe is named after.

    For example: python -m training.pack dln/3

    Args:
        source: a version such as dln/3, or the id of a run whose network isn't registered.
    """
    is_version = "/" in source or "@" in source
    run_id = versions.resolve(source).run_id if is_version else source
    card = card_of(run_id)
    if card is None:
        raise ValueError(
            f"The run of {source} has no card: only networks trained by this program are packed."
        )
    state = versions.weights(source) if is_version else _weights(run_id)
    measured = [row for row in measurements.read(run_id) if row.split in ("validation", "test")]
    trained = [asdict(point) for point in curves(run_id)]
    path = files.write(card["recipe"], state, card, measured, trained)
    name = card["recipe"]
    graphs = write_graphs(files.Starter.open(name)) if name in files.STARTERS else []
    tested = [] if not is_version else outcomes.read(versions.resolve(source))
    kept = [table for table in tested if table.source.split == "test"]
    for written in (path, *graphs, *files.write_outcomes(name, kept)):
        sys.stdout.write(f"{written} holds {written.stat().st_size / 1e6:.2f} MB.\n")


def _weights(run_id: str) -> dict[str, Tensor]:
    with TemporaryFolder() as folder:
        path = artifacts.fetch(run_id, "weights.safetensors", folder)
        if path is None:
            raise ValueError(f"Run {run_id} has no weights: name its version, such as dln/3.")
        state: dict[str, Tensor] = load_file(path)
    return state


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 2 for bad input, 3 when the registry is empty or unreachable."""
    return run(pack, "python -m training.pack", arguments)


def run(command: Callable[..., None], program: str, arguments: Sequence[str] | None) -> int:
    """Run a command that packs; return 0, 2 for bad input, 3 without an answer of the registry.

    Args:
        command: takes the arguments that tyro reads.
        program: what its help calls it.
        arguments: as typed; None: those of this process.
    """
    try:
        tyro.cli(command, args=arguments, prog=program)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except RegistryError as error:
        print(error, file=sys.stderr)
        return NO_REGISTRY
    return 0


if __name__ == "__main__":
    sys.exit(main())
