"""python -m training train | evaluate | compare | summary | prepare | show | reexport | sweep."""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import tyro

from registry.console import program
from registry.logs import log_to_file, traceback_note
from training.commands import COMMANDS, PROGRAM

FAILED, BAD_INPUT, NO_REGISTRY, STOPPED = 1, 2, 3, 130
DESCRIPTION = """Train networks, measure them and prepare their data.

Examples:
  python -m training train dln-smoke
  python -m training evaluate dln data/ferplus
  python -m training train --help"""
RESUMED = ("train", "compare", "prepare", "sweep")
"""Commands that resume where they were stopped."""
logger = logging.getLogger(__name__)


@program
def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0: done. 1: a bug here. 2: bad input. 3: the registry. 130: stopped by Ctrl-C. A failure
    prints one sentence; its traceback goes into a log file.
    """
    name = tyro.extras.subcommand_cli_from_dict(
        {name: _named(name, run) for name, run in COMMANDS.items()},
        args=list(arguments[:1]),
        prog=PROGRAM,
        description=DESCRIPTION,
    )
    log = log_to_file("training")
    try:
        COMMANDS[name](arguments[1:])
    except KeyboardInterrupt:
        resumed = "; run the same command again to continue." if name in RESUMED else "."
        print(f"Stopped{resumed}", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        raise
    except Exception as error:
        logger.exception("%s %s failed", PROGRAM, name)
        return _report(name, error, log)
    return 0


def _named(name: str, command: Callable[[Sequence[str]], None]) -> Callable[[], str]:
    """Return a function that tyro lists like a command and that returns its name."""

    def named() -> str:
        return name

    named.__doc__ = (command.__doc__ or "").partition("\n")[0]
    return named


def _report(name: str, error: Exception, log: Path) -> int:
    """Print why a command failed and return its exit code."""
    from registry.errors import RegistryError, first_line
    from registry.ray_cluster import ClusterError
    from training.datasets.prepared import PreparedError
    from training.engine.recipe import RecipeError
    from training.engine.task import TrainingError

    if isinstance(error, RecipeError | PreparedError | ClusterError):
        print(error, file=sys.stderr)
        return BAD_INPUT
    if isinstance(error, TrainingError | RegistryError):
        sentence = str(error) or first_line(error)
        code = BAD_INPUT if isinstance(error, TrainingError) else NO_REGISTRY
    elif isinstance(error, OSError) and error.filename:
        sentence, code = (
            f"{error.filename} can't be read or written: {first_line(error)}.",
            BAD_INPUT,
        )
    else:
        sentence, code = f"`{PROGRAM} {name}` failed: {first_line(error)}.", FAILED
    print("\n".join(filter(None, [sentence, traceback_note(log)])), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
