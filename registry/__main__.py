"""python -m registry list | show | promote: the versions that training made and the demo serves."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from registry.entries import Version

BAD_INPUT, NO_ANSWER = 2, 3
SHOWN_IN_LIST = ("test/", "validation/")
LOGGED_WHILE_LEARNING = re.compile("train/[^/]+")
ENDS_OF_INTERVAL = ("_low", "_high")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 for bad input, 3 when the registry is empty or unreachable."""
    given = _parser().parse_args(arguments)
    from rich.console import Console

    from registry.errors import BadVersion, RegistryError

    try:
        given.command(given, Console(markup=False))
    except RegistryError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT if isinstance(error, BadVersion) else NO_ANSWER
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m registry", description="The registered versions of each model."
    )
    commands = parser.add_subparsers(required=True, metavar="list | show | promote")
    listing = commands.add_parser("list", help="list all versions")
    listing.add_argument("name", nargs="?", metavar="NAME", help="of this model alone")
    listing.set_defaults(command=_list)
    show = commands.add_parser("show", help="print all that is known of one version")
    show.add_argument("reference", metavar="NAME[@alias|/version]", help="NAME: in production")
    show.set_defaults(command=_show)
    promote = commands.add_parser("promote", help="let a version answer on the page")
    promote.add_argument("name", metavar="NAME")
    promote.add_argument("number", metavar="VERSION", type=int)
    promote.set_defaults(command=_promote)
    return parser


def _list(given: argparse.Namespace, console: "Console") -> None:
    from registry import versions
    from registry.errors import EmptyRegistry

    found = versions.list_versions(given.name)
    for fault in versions.broken_versions(given.name):
        print(fault, file=sys.stderr)
    if not found and given.name:
        versions.resolve(given.name)
    if not found:
        raise EmptyRegistry(
            "The registry is empty: `python app.py seed` registers the starters, "
            "`python -m training train emotion-smoke` a first version of your own."
        )
    console.print(_table(found))


def _table(found: Sequence["Version"]) -> "Table":
    """Return a table that keeps every word in a terminal of 80 columns."""
    from rich.box import SIMPLE
    from rich.table import Column, Table

    table = Table(Column("Version", no_wrap=True), Column("Measured", overflow="fold"), box=SIMPLE)
    for version in found:
        known = [f"{version.name} {version.number}", *version.aliases]
        made = [_when(version), f"run {version.run_id[:8]}"]
        described = version.description.strip().partition("\n")[0]
        table.add_row("\n".join(known + made), "\n".join([described, *_measured(version)]))
    return table


def _measured(version: "Version") -> list[str]:
    """Return what was measured on a test split, or else in validation, a line each."""
    from registry import versions

    known = versions.metrics(version)
    kind = next((kind for kind in SHOWN_IN_LIST if any(key.startswith(kind) for key in known)), "-")
    return [f"{key} {value:.4g}" for key, value in known.items() if key.startswith(kind)]


def _show(given: argparse.Namespace, console: "Console") -> None:
    from rich.markdown import Markdown
    from rich.table import Column, Table

    from registry import versions

    version = versions.resolve(given.reference)
    table = Table(Column(no_wrap=True), Column(overflow="fold"), show_header=False)
    for key, value in _facts(version).items():
        table.add_row(key, value)
    for key, number in _not_on_card(versions.metrics(version), version.description).items():
        table.add_row(key, f"{number:.6g}")
    console.print(table)
    console.print(Markdown(version.description))


def _not_on_card(measured: Mapping[str, float], card: str) -> dict[str, float]:
    """Return the metrics that no table of the card has; what is said once needs no row here."""
    from registry.export import number

    told = {
        key
        for key, value in measured.items()
        if not LOGGED_WHILE_LEARNING.fullmatch(key) and f"| {number(value)} " in card
    }
    for end in ENDS_OF_INTERVAL:
        told |= {key for key in measured if key.endswith(end) and key.removesuffix(end) in told}
    return {key: value for key, value in measured.items() if key not in told}


def _facts(version: "Version") -> dict[str, str]:
    crop = version.crop
    turned = "eyes level" if crop.roll else "not turned"
    facts = {
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
    return {key: value for key, value in facts.items() if value}


def _promote(given: argparse.Namespace, console: "Console") -> None:
    from registry.promotion import promote

    version = promote(given.name, given.number)
    console.print(f"{version.title} is in production.")


def _when(version: "Version") -> str:
    return f"{version.created.astimezone():%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    sys.exit(main())
