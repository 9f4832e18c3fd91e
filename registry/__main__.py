"""python -m registry list | show | promote | rollback | history | ...: registered versions."""

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from registry import console
from registry.console import print_json
from registry.exchange_commands import export, import_version
from registry.promotion_commands import gates, history, promote, rollback
from registry.prune_command import prune
from registry.store_commands import Json, backup, doctor, restore, upgrade

if TYPE_CHECKING:
    from rich.console import RenderableType


FAILED, BAD_INPUT, NO_ANSWER, INTERRUPTED = 1, 2, 3, 130
DESCRIPTION = """The registered versions of each model.

Examples:
  python -m registry list
  python -m registry show dln@production
  python -m registry promote dln 2
  python -m registry history dln
  python -m registry rollback dln"""
logger = logging.getLogger(__name__)
app = tyro.extras.SubcommandApp()
Model = Annotated[str, Positional, tyro.conf.arg(metavar="NAME")]
Reference = Annotated[str, Positional, tyro.conf.arg(metavar="NAME[@alias|/version]")]


@console.program
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: a fault of ours, whose traceback goes into a log file. 2: bad input. 3: the registry
    is empty or unreachable. 4: the gates refused a promotion. 130: stopped by Ctrl-C.
    """
    from registry import logs
    from registry.errors import (
        BadBackup,
        BadExport,
        BadPrune,
        BadVersion,
        RegistryError,
        first_line,
    )

    log = logs.log_to_file("registry")
    console.collect_rarely()
    try:
        app.cli(args=arguments, prog="python -m registry", description=DESCRIPTION)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except RegistryError as error:
        print(error, file=sys.stderr)
        is_input = isinstance(error, BadVersion | BadBackup | BadExport | BadPrune)
        return BAD_INPUT if is_input else NO_ANSWER
    except Exception as error:
        logger.exception("python -m registry failed.")
        sentence = f"The command failed: {first_line(error)}. {logs.traceback_note(log)}"
        print(sentence.rstrip(), file=sys.stderr)
        return FAILED
    return 0


@app.command(name="list")
def list_versions(
    name: Annotated[str | None, Positional, tyro.conf.arg(metavar="[NAME]")] = None,
    as_json: Json = False,
) -> None:
    """List all versions, newest first: number, aliases, date and the main result.

    For example: python -m registry list dln

    Args:
        name: list the versions of this model alone: dln, fecnet, emotion or pix2pixhd.
        as_json: print JSON.
    """
    from registry import listing, versions
    from registry.catalog import CATALOG
    from registry.errors import EmptyRegistry, app_command
    from registry.promotion import journal

    for model in [name] if name else CATALOG:
        journal.observe(model)
    found = versions.list_versions(name)
    for fault in versions.broken_versions(name):
        print(fault, file=sys.stderr)
    if not found and name:
        versions.resolve(name)
    if not found:
        raise EmptyRegistry(
            f"The registry is empty: `{app_command()} seed` registers the starters, "
            "`python -m training train emotion-smoke` a first version of your own."
        )
    if as_json:
        print_json([listing.list_values(version) for version in found])
    else:
        console.print_table(listing.table_of_versions(found))


@app.command
def show(
    reference: Reference,
    measurements: Annotated[bool, FlagCreatePairsOff] = False,
    as_json: Json = False,
) -> None:
    """Print all that is known of one version.

    For example: python -m registry show dln@production

    Args:
        reference: the version: dln is the one in production, dln/3 the third, dln@alias another's.
        measurements: print the whole table of measurements, too, where the card shows the results.
        as_json: print JSON, with all measurements.
    """
    from rich.markdown import Markdown

    from registry import listing, signature, versions
    from registry.measurements import to_rows
    from registry.promotion import journal

    version = versions.resolve(reference)
    journal.observe(version.name)
    if as_json:
        measured = to_rows(versions.measurements(version))
        print_json(listing.version_values(version) | {"measurements": measured})
        return
    shown: list[RenderableType] = [listing.table_of_metadata(version)]
    shown.append(Markdown(version.description))
    if measurements or not signature.is_signed(version):
        shown.append(listing.table_of_measurements(versions.measurements(version)))
    for part in shown:
        console.print_table(part)


for command in (promote, gates, rollback, history, export, upgrade, backup, restore, doctor, prune):
    app.command(command)
app.command(name="import")(import_version)


if __name__ == "__main__":
    sys.exit(main())
