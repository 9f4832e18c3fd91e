"""python -m registry list | show | promote | upgrade | doctor: registered versions."""

import logging
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from registry.entries import Version
    from registry.measurements import Measurement

FAILED, BAD_INPUT, NO_ANSWER = 1, 2, 3
SPLITS_IN_LIST = ("test", "validation")
"""`list` shows the measurements of the first of them that has any."""
DESCRIPTION = """The registered versions of each model.

Examples:
  python -m registry list
  python -m registry show dln@production
  python -m registry promote dln 2"""
logger = logging.getLogger(__name__)
app = tyro.extras.SubcommandApp()
Model = Annotated[str, Positional, tyro.conf.arg(metavar="NAME")]
Reference = Annotated[str, Positional, tyro.conf.arg(metavar="NAME[@alias|/version]")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: a fault of ours, whose traceback goes into a log file. 2: bad input. 3: the registry
    is empty or unreachable.
    """
    from registry import logs
    from registry.errors import BadVersion, RegistryError, first_line

    log = logs.log_to_file("registry")
    try:
        app.cli(args=arguments, prog="python -m registry", description=DESCRIPTION)
    except RegistryError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT if isinstance(error, BadVersion) else NO_ANSWER
    except Exception as error:
        logger.exception("python -m registry failed.")
        sentence = f"The command failed: {first_line(error)}. {logs.traceback_note(log)}"
        print(sentence.rstrip(), file=sys.stderr)
        return FAILED
    return 0


@app.command(name="list")
def list_versions(
    name: Annotated[str | None, Positional, tyro.conf.arg(metavar="[NAME]")] = None,
) -> None:
    """List all versions with what was measured of them, newest first.

    For example: python -m registry list dln

    Args:
        name: list the versions of this model alone.
    """
    from registry import versions
    from registry.errors import EmptyRegistry

    found = versions.list_versions(name)
    for fault in versions.broken_versions(name):
        print(fault, file=sys.stderr)
    if not found and name:
        versions.resolve(name)
    if not found:
        raise EmptyRegistry(
            "The registry is empty: `python app.py seed` registers the starters, "
            "`python -m training train emotion-smoke` a first version of your own."
        )
    _console().print(_table_of_versions(found))


@app.command
def show(reference: Reference, measurements: Annotated[bool, FlagCreatePairsOff] = False) -> None:
    """Print all that is known of one version.

    For example: python -m registry show dln@production

    Args:
        reference: the version; NAME alone is the one in production.
        measurements: print the whole table of measurements, too, where the card shows the results.
    """
    from rich.markdown import Markdown
    from rich.table import Column, Table

    from registry import signature, versions

    version, console = versions.resolve(reference), _console()
    table = Table(Column(no_wrap=True), Column(overflow="fold"), show_header=False)
    for key, value in _metadata(version).items():
        table.add_row(key, value)
    console.print(table)
    console.print(Markdown(version.description))
    if measurements or not signature.is_signed(version):
        console.print(_table_of_measurements(versions.measurements(version)))


@app.command
def promote(
    name: Model, number: Annotated[int, Positional, tyro.conf.arg(metavar="VERSION")]
) -> None:
    """Let a version answer on the page.

    For example: python -m registry promote dln 2

    Args:
        name: the model.
        number: the number of the version.
    """
    from registry import promotion

    version = promotion.promote(name, number)
    _console().print(f"{version.title} is in production.")


@app.command
def upgrade() -> None:
    """Bring a local registry that an older MLflow wrote to the installed one's form.

    A copy of the database is made first and stays beside it.

    For example: python -m registry upgrade
    """
    from registry import store

    print(store.upgrade())


@app.command
def doctor(fix: Annotated[bool, FlagCreatePairsOff] = False) -> None:
    """Name what killed programs left: runs that count as running, models stored in part.

    What a program writes now is left alone.

    For example: python -m registry doctor --fix

    Args:
        fix: end such runs, and delete such models with their files.
    """
    from registry import doctor

    found = doctor.leftovers()
    killed = [leftover for leftover in found if leftover.is_killed]
    for leftover in found:
        if fix and leftover.is_killed:
            doctor.clean(leftover)
        print(leftover.cleaned if fix and leftover.is_killed else leftover.found)
    if killed and not fix:
        print("`python -m registry doctor --fix` ends such runs and deletes such models.")
    if not found:
        print("No killed program left anything.")


def _console() -> "Console":
    from rich.console import Console

    return Console(markup=False)


def _table_of_versions(found: Sequence["Version"]) -> "Table":
    """Return a table that cuts no word in a terminal of 80 columns."""
    from rich.box import SIMPLE
    from rich.table import Column, Table

    table = Table(Column("Version", no_wrap=True), Column("Measured", overflow="fold"), box=SIMPLE)
    for version in found:
        known = [f"{version.name} {version.number}", *version.aliases]
        made = [_when(version), f"run {version.run_id[:8]}"]
        first_line = version.description.strip().partition("\n")[0]
        table.add_row("\n".join(known + made), "\n".join([first_line, *_measured(version)]))
    return table


def _measured(version: "Version") -> Iterator[str]:
    """Yield what was measured on a test split, or else on validation, a line each."""
    from registry import versions

    known = versions.measurements(version)
    shown = next((each for each in SPLITS_IN_LIST if any(row.split == each for row in known)), "")
    for row in known:
        if row.split == shown != "":
            yield f"{row.name} {row.value:.4g}{_interval(row)}"


def _table_of_measurements(rows: Sequence["Measurement"]) -> "Table":
    from rich.box import SIMPLE
    from rich.table import Column, Table

    table = Table(Column("Measured", overflow="fold"), Column("Value", no_wrap=True), box=SIMPLE)
    for row in rows:
        table.add_row(row.name, f"{row.value:.6g}{_interval(row)}")
    return table


def _interval(row: "Measurement") -> str:
    return "" if row.low is None or row.high is None else f" ({row.low:.2f} to {row.high:.2f})"


def _metadata(version: "Version") -> dict[str, str]:
    crop = version.crop
    turned = "eyes level" if crop.roll else "not turned"
    metadata = {
        "Model": version.name,
        "Version": str(version.number),
        "Aliases": ", ".join(version.aliases),
        "Created": _when(version),
        "Run": version.run_id,
        "Crop": f"{crop.size_px} px, margin {crop.margin:g}, {turned}",
        "Labels": ", ".join(version.labels),
        "Temperature": "" if version.temperature is None else f"{version.temperature:g}",
        "Starter": version.starter or "",
        **{f"Output {name}": shape for name, shape in version.outputs.items()},
        **{f"Encoder {name}": shape for name, shape in version.encoder.items()},
        **{f"Threshold {name}": f"{least:g}" for name, least in version.thresholds.items()},
        **{f"Data {name}": digest for name, digest in version.data.items()},
    }
    return {key: value for key, value in metadata.items() if value}


def _when(version: "Version") -> str:
    return f"{version.created.astimezone():%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    sys.exit(main())
