"""The commands of `python -m registry` about the version in production."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from registry import console
from registry.console import print_json
from registry.store_commands import Json

if TYPE_CHECKING:
    from registry.promotion.report import Report
    from registry.versions import Version

REFUSED = 4
"""Exit status where the gates refused a version."""
FORCE = '`--force --reason "..."` promotes it all the same; the journal keeps the reason.'
Model = Annotated[str, Positional, tyro.conf.arg(metavar="NAME")]
Flag = Annotated[bool, FlagCreatePairsOff]


def promote(
    name: Model,
    number: Annotated[int | None, Positional, tyro.conf.arg(metavar="[VERSION]")] = None,
    best: Annotated[str | None, tyro.conf.arg(metavar="SWEEP")] = None,
    reason: str = "",
    evaluate: Flag = False,
    force: Flag = False,
    gates: Path | None = None,
    as_json: Json = False,
) -> None:
    """Let a version answer on the page, if it is no worse than the one that answers now.

    Both are compared by what `python -m training evaluate` measured of them on the same data.

    For example: python -m registry promote dln 2

    Args:
        name: the model: dln, fecnet, emotion or pix2pixhd.
        number: the number of the version, as `train` prints it and `list` shows it; where
            EXPRESSION_STUDIO_CANDIDATES is 1, of the candidate.
        best: in place of the number: the version of the best trial of this sweep.
        reason: why, for the journal.
        evaluate: measure first what was not measured and lies on this machine.
        force: promote it even if it is refused; needs a reason.
        gates: a table of gates in place of gates.toml in the store's folder, or of ours.
        as_json: print JSON.
    """
    from registry import listing
    from registry.promotion import gated

    number = _chosen(name, number, best)
    if evaluate:
        gated.evaluate_missing(name, number, gates)
    report = gated.promote(name, number, reason, force=force, table=gates)
    promoted = report.promoted
    if as_json:
        known = listing.version_values(promoted or report.candidate)
        print_json(known | {"promoted": promoted is not None, "gates": report.to_dict()})
    else:
        _print_report(report)
    if promoted is None:
        raise SystemExit(REFUSED)


def _chosen(name: str, number: int | None, best: str | None) -> int:
    """Return the number of the version that is to be promoted.

    Raises:
        BadVersion: neither a number nor a sweep is given, or both; or the sweep has no version.
    """
    from registry import sweeps
    from registry.errors import BadVersion

    if number is not None and best is None:
        return number
    if best is not None and number is None:
        return sweeps.best_version(name, best).number
    raise BadVersion(
        f"Which version of {name}? Name its number or --best SWEEP, one of the two: "
        f"`python -m registry list {name}` shows the numbers."
    )


def gates(as_json: Json = False) -> None:
    """Check the table of gates in use and print it: save it as gates.toml in the store's folder.

    For example: python -m registry gates > mlruns/gates.toml

    Args:
        as_json: print JSON.
    """
    from registry.catalog import CATALOG
    from registry.promotion import gates as table

    read = {model: asdict(table.read(model)) for model in CATALOG}
    if as_json:
        print_json(read)
    else:
        print(table.file().read_text(encoding="utf-8"), end="")


def _print_report(report: "Report") -> None:
    if report.rows:
        console.print_table(report.table())
    if report.promoted:
        print(report.sentence)
        print(f"{report.promoted.title} is in production.")
        return
    print(report.sentence, file=sys.stderr)
    if report.missing:
        print("To measure what is missing (--evaluate does it):", file=sys.stderr)
        for evaluation in report.missing:
            print(f"  {evaluation.command}", file=sys.stderr)
    print(FORCE, file=sys.stderr)


def rollback(name: Model, reason: str = "", as_json: Json = False) -> None:
    """Let the version answer that was in production before; once more goes farther back.

    For example: python -m registry rollback dln

    Args:
        name: the model: dln, fecnet, emotion or pix2pixhd.
        reason: why, for the journal.
        as_json: print JSON.
    """
    from registry import promotion

    _print_promoted(promotion.roll_back(name, reason), as_json)


def _print_promoted(version: "Version", as_json: bool) -> None:
    from registry import listing

    if as_json:
        print_json(listing.version_values(version))
    else:
        print(f"{version.title} is in production.")


def history(name: Model, at: str | None = None, as_json: Json = False) -> None:
    """Print which versions were in production: when, by whom and why.

    For example: python -m registry history dln

    Args:
        name: the model: dln, fecnet, emotion or pix2pixhd.
        at: print which version was in production at this time alone, such as 2026-11-27 or
            "2026-11-27 18:30"; it is this machine's time unless it ends with a zone such as +00:00.
        as_json: print JSON.
    """
    from registry import listing, versions
    from registry.promotion import journal

    journal.observe(name)
    entries = journal.read(name)
    if not entries:
        versions.resolve(name)
    if at is not None:
        number = journal.serving(entries, journal.parse_time(at))
        title = f"Version {number} of {name}" if number else f"No version of {name}"
        text = f"{title} was in production at {at}."
        print_json({"at": at, "version": number}) if as_json else print(text)
    elif as_json:
        print_json([entry.to_dict() for entry in entries])
    else:
        console.print_table(listing.table_of_journal(entries))
