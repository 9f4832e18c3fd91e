"""Promotion through the gates: a version takes the place of another for stated reasons."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from registry import outcomes, versions
from registry.entries import Version
from registry.errors import BadVersion, EmptyRegistry, RegistryError
from registry.promotion import alias, copies, gates, journal, validation
from registry.promotion.comparison import Row, compare
from registry.promotion.journal import Kind
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
    limits = gates.read(version.model, table)
    champion = _champion(version.model)
    if champion is not None and _is_same(champion, version):
        if version.is_validated:
            return Report(candidate=version, champion=champion, is_current=True)
        champion = _earlier(version.model, version.number)
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

    The comparison is stored with its run, and the journal says how it ended. `report.promoted` is
    the version that is in production now. A candidate is copied into its model, but once only.

    Args:
        name: the model.
        number: the number of the version; where candidates are enabled, of the candidate.
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
    version = copies.find(name, number)
    before = journal.observe(version.model)
    report = _checked(version, table, force)
    if report.is_current:
        return replace(report, promoted=version)
    _log(report)
    reason = _joined(reason, report.sentence)
    if not report.passed and not force:
        refused = None if version.is_candidate else version.number
        journal.add(version.model, "refused", before, refused, reason)
        return report
    version = copies.in_model(version)
    if report.passed:
        validation.write(version, "passed", report.sentence)
    kind: Kind = "promoted" if report.passed else "forced"
    promoted = alias.promote(version.name, version.number, reason, kind)
    return replace(report, promoted=promoted)


def evaluate_missing(name: str, number: int, table: Path | None = None) -> None:
    """Run the evaluations that the comparison lacks, each in a process of its own.

    Args:
        name: the model.
        number: its number, as for `promote`.
        table: a table of gates; by default `gates.file()`.

    Raises:
        BadVersion: there is no such version, or an evaluation failed; what it printed says why.
        BadGates, EmptyRegistry, Unreachable: as for `promote`.
    """
    for evaluation in check(copies.find(name, number), table).missing:
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


def _is_same(one: Version, other: Version) -> bool:
    return (one.name, one.number) == (other.name, other.number)


def _is_measured(version: Version) -> bool:
    """Return whether anything was measured of a version on data, in this registry."""
    if version.imported_from:
        return any(not table.source.imported for table in outcomes.read(version))
    return any(row.split for row in versions.measurements(version))


def _joined(reason: str, sentence: str) -> str:
    return f"{reason.strip()}: {sentence}" if reason.strip() else sentence
