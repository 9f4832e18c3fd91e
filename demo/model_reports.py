"""What is in production of each model, since when and why, and what it replaced."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo.models import ModelServer
from registry.entries import Version
from registry.errors import BadVersion, EmptyRegistry, RegistryError
from registry.listing import HEADLINES, SPLITS
from registry.measurements import Measurement
from registry.promotion import journal
from registry.promotion.journal import Entry

logger = logging.getLogger(__name__)

LAST_ENTRIES = 10


@dataclass(frozen=True, kw_only=True)
class VersionReport:
    """A version, the name of the training it comes from, and what was measured of it."""

    version: Version
    training: str
    """Name of its run in MLflow; empty where the run was deleted."""
    measurements: Sequence[Measurement]

    @property
    def shown(self) -> list[Measurement]:
        """Rates and distances of the first of SPLITS that was measured, by the usual protocol."""
        for split in SPLITS:
            rows = [row for row in self.measurements if row.split == split and not row.protocol]
            if rows:
                return [row for row in rows if 0 <= row.value <= 1]
        return []

    @property
    def main(self) -> list[Measurement]:
        """What was measured of all faces, by metric, the one that stands for the model first."""
        whole = (row for row in self.shown if not row.group)
        return sorted(whole, key=lambda row: (row.metric not in HEADLINES, row.metric))


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    """The version of a model in production, and the journal of how it came there."""

    now: VersionReport
    since: Entry | None
    """The move of the alias that put it into production; None where no move is in the journal."""
    before: VersionReport | None
    """The version that it replaced; None for the first one, and where that was deleted."""
    journal: Sequence[Entry]
    """The last entries, newest first."""


def report(name: str) -> ModelReport:
    """Return what is known of the version of a model in production.

    Raises:
        RegistryError: None is in production, or the store does not answer.
    """
    from registry import versions

    version, entries = versions.resolve(name), journal.read(name)
    since, before = _last(entries, version), None
    if since is not None and since.before is not None:
        try:
            before = _version_report(versions.resolve(f"{name}/{since.before}"))
        except (BadVersion, EmptyRegistry) as error:
            logger.info("The version before can't be compared.", exc_info=error)
    return ModelReport(
        now=_version_report(version),
        since=since,
        before=before,
        journal=entries[: -LAST_ENTRIES - 1 : -1],
    )


def identity(name: str) -> tuple[object, ...]:
    """Return what changes when a report does, read in milliseconds; raises as `report`."""
    from registry import versions

    version, entries = versions.resolve(name), journal.read(name)
    return version.number, version.run_id, version.validation, version.description, len(entries)


def summary(server: ModelServer, name: str) -> dict[str, Any]:
    """Return which version of a model is in production and which answers, as JSON can hold it."""
    from registry import versions

    problem, version, since = server.problem(name) or "", None, None
    try:
        version = versions.resolve(name)
        since = _last(journal.read(name), version)
    except RegistryError as error:
        problem = problem or str(error)
    model = server.loaded(name)
    return {
        "model": name,
        "version": version and version.number,
        "run_id": version and version.run_id,
        "validated": version and version.is_validated,
        "since": since and since.at.isoformat(timespec="seconds"),
        "kind": since and since.kind,
        "before": since and since.before,
        "who": since and since.who,
        "why": since and since.why,
        "answering": model and model.version.number,
        "device": model and model.device,
        "engine": model and model.engine,
        "problem": problem,
    }


def _last(entries: Sequence[Entry], version: Version) -> Entry | None:
    """Return the last move of the alias, if it is the one to this version."""
    moves = [entry for entry in entries if entry.moves]
    return moves[-1] if moves and moves[-1].after == version.number else None


def _version_report(version: Version) -> VersionReport:
    from registry import store, versions
    from registry.store.records import open_records

    with store.answering():
        run = open_records().run(version.run_id)
    return VersionReport(
        version=version,
        training=run.tags.get("mlflow.runName", "") if run else "",
        measurements=versions.measurements(version),
    )
