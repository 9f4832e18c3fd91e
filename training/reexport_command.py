"""The arguments of `python -m training reexport`."""

from collections.abc import Sequence
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from registry.console import print_json

NOT_COMPARED = "not compared with it, because none of its graphs can be read"


def reexport(arguments: Sequence[str]) -> None:
    """Make the graphs of a version again, from its weights and configuration, as a new version.

    For a version whose graphs this PyTorch can't read, or that lacks one. What can still be read is
    compared with the new graphs.

    Examples:
      python -m training reexport dln/3
    """

    def main(
        reference: Annotated[str, Positional, tyro.conf.arg(metavar="NAME[@alias|/version]")],
        as_json: Annotated[bool, FlagCreatePairsOff, tyro.conf.arg(name="json")] = False,
    ) -> None:
        """Export again.

        Args:
            reference: the version: dln is the one in production, dln/3 the third.
            as_json: print JSON.
        """
        import torch

        from registry.candidates import promote_command
        from training.reexport import reexport

        torch.set_flush_denormal(True)
        done = reexport(reference)
        version, compared = done.version, list(done.compared)
        if as_json:
            named = {"model": version.name, "version": version.number, "compared": compared}
            print_json(named)
            return
        same = f"the same answers as its {' and '.join(compared)}" if compared else NOT_COMPARED
        print(f"Registered {version.name} version {version.number}: {reference}, {same}.")
        print(f"Serve it: {promote_command(version)}")

    description = "\n".join(
        line.removeprefix("    ") for line in (reexport.__doc__ or "").splitlines()
    )
    tyro.cli(
        main, args=list(arguments), prog="python -m training reexport", description=description
    )


NOT_COMPARED = "not compared with it, because none of its graphs can be read"
