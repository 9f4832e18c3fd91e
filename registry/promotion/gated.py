"""Promotion through the gates: a version takes the place of another for stated reasons."""

import logging
import subprocess
import sys
from pathlib import Path

from registry import outcomes, versions
from registry.entries import Version
from registry.errors import BadVersion, EmptyRegistry, RegistryError
from registry.promotion import alias, gates, journal, validation
from registry.promotion.comparison import Row, compare
from registry.promotion.report import Report
from registry.versions import PRODUCTION

logger = logging.getLogger(__name__)


def check(version: Version, table: Path | None = None) -> Report:
    """Compare a version with the one in production; nothing is written.

    One that is in production itself, and not validated, is compared with the one before it.

    Args:
        version: the candidate.
        table: a table of gates; by default `gates.file()`.

    Raises:
        BadGates: the table can't be read.
        Unreachable: the store does not answer.
    """
    limits = gates.read(version.name, table)
    champion = _champion(version.name)
    if champion is not None and champion.number == version.number:
        if version.is_validated:
            return Report(candidate=version, champion=champion, is_current=True)
        champion = _earlier(version.name, version.number)
    if champion is None:
        return Report(candidate=version, champion=None, measured=_is_measured(version))
    rows, missing = compare(version, champion, limits)
    if version.validation == "failed":
        note = f"it is tagged validation_status=failed ({version.validation_reason})"
        rows.append(Row(metric="validation", verdict="failed", note=note))
    return Report(candidate=version, champion=champion, rows=rows, missing=missing)


def promote(
    name: str, number: int, reason: str = "", *, force: bool = False, table: Path | None = None
) -> Report:
    """Let a version take the place of the one in production if it passes the gates.

    The comparison is stored with its run, and the journal says how it ended. `report.passed or
    force` says whether the version is in production now.

    Args:
        name: the model.
        number: the number of the version.
        reason: why, for the journal.
        force: promote it even if the gates refuse it; needs a reason.
        table: a table of gates; by default `gates.file()`.

    Raises:
        BadVersion: there is no such version, it is incomplete, or `force` has no reason.
        BadGates: the table can't be read.
        EmptyRegistry: the model has no version.
        Deleted: the version or its model was deleted or renamed meanwhile.
        Unreachable: the store does not answer.
    """
    if force and not reason.strip():
        raise BadVersion('Say why: --force needs --reason "...", which the journal keeps.')
    version = versions.resolve(f"{name}/{number}")
    before = journal.observe(version.name)
    report = _checked(version, table, force)
    if report.is_current:
        return report
    _log(report)
    if report.passed:
        validation.write(version, "passed", report.sentence)
        alias.promote(name, number, _joined(reason, report.sentence))
    elif force:
        alias.promote(name, number, _joined(reason, report.sentence), "forced")
    else:
        journal.add(version.name, "refused", before, number, _joined(reason, report.sentence))
    return report


def evaluate_missing(name: str, number: int, table: Path | None = None) -> None:
    """Run the evaluations that the comparison lacks, each in a process of its own.

    Args:
        name: the model.
        number: the number of the candidate.
        table: a table of gates; by default `gates.file()`.

    Raises:
        BadVersion: there is no such version, or an evaluation failed; what it printed says why.
        BadGates, EmptyRegistry, Unreachable: as for `promote`.
    """
    for evaluation in check(versions.resolve(f"{name}/{number}"), table).missing:
        print(evaluation.command, file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "training", "evaluate", *evaluation.arguments]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise BadVersion(f"`{evaluation.command}` failed: nothing was promoted.")


def _checked(version: Version, table: Path | None, force: bool) -> Report:
    """Return what the gates say; where they can't say anything, only force goes on."""
    try:
        return check(version, table)
    except RegistryError as error:
        if not force:
            raise
        return Report(candidate=version, champion=None, fault=str(error))


def _log(report: Report) -> None:
    """Store the comparison; where that fails, a version can be promoted all the same."""
    try:
        report.log()
    except RegistryError as error:
        logger.warning("The comparison is not stored: %s", error)


def _champion(name: str) -> Version | None:
    try:
        return versions.resolve(f"{name}@{PRODUCTION}")
    except EmptyRegistry:
        return None
    except BadVersion as error:
        logger.warning("%s", error)
        return _earlier(name)


def _earlier(name: str, but: int | None = None) -> Version | None:
    """Return the version that was in production before, and is whole; not the one of a number."""
    whole = {version.number: version for version in versions.list_versions(name)}
    numbers = journal.earlier(journal.read(name))
    return next((whole[n] for n in numbers if n in whole and n != but), None)


def _is_measured(version: Version) -> bool:
    """Return whether anything was measured of a version on data, in this registry."""
    if version.imported_from:
        return any(not table.source.imported for table in outcomes.read(version))
    return any(row.split for row in versions.measurements(version))


def _joined(reason: str, sentence: str) -> str:
    return f"{reason.strip()}: {sentence}" if reason.strip() else sentence
