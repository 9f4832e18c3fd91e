"""What is old and needed by nobody: versions, the files of models, runs, and what is left on disk.

Everything is found from the store as it is now, so that a deletion that was killed is continued by
the next one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from registry import store
from registry.console import printable
from registry.promotion import journal
from registry.retention import files
from registry.retention.kept import Key, is_ours, kept_versions
from registry.store import in_progress
from registry.store.record_types import Entry, Records
from registry.store.records import open_records
from registry.sweeps import PARENT, SWEEP

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

Kind = Literal["version", "model", "run", "index", "folder"]
RUNNING = ("RUNNING", "SCHEDULED")
RECIPE = "recipe"
"""The parameter of a run that names the recipe of a training."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that can be deleted."""

    kind: Kind
    """version: its entry in the registry; model: the files of a version, MLflow's logged model;
    run; index: of a searched folder; folder: a temporary one that a killed program left."""
    identifier: str
    """`dln/3` for a version, MLflow's id of a model or run, else a path."""
    title: str
    size_bytes: int
    location: str = ""
    """The address of its files."""

    def to_dict(self) -> dict[str, Any]:
        """Return the item as JSON can hold it."""
        return {key: value for key, value in asdict(self).items() if key != "location"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be deleted, in this order, and which versions stay for which reason."""

    items: Sequence[Item]
    kept: Mapping[Key, str]

    @property
    def size_bytes(self) -> int:
        """How much all items take together."""
        return sum(item.size_bytes for item in self.items)


@dataclass(frozen=True, kw_only=True)
class _Contents:
    """What there is in the store."""

    client: "MlflowClient"
    records: Records
    entries: Sequence[Entry]
    experiments: Mapping[str, str]
    """Name of each experiment by its id; the journal's is left out."""
    runs: Sequence["Run"]
    deleted_runs: Sequence["Run"]
    models: Sequence["LoggedModel"]
    busy: set[tuple[str, str]]
    """Kind and id of what a living process of this machine writes."""


def make_plan(keep_last: int, older: timedelta, now: datetime | None = None) -> Plan:
    """Return what can be deleted; nothing is changed.

    Args:
        keep_last: how many versions of each model stay in any case.
        older: only what is older than this is deleted.
        now: the present time.

    Raises:
        EmptyRegistry, Unreachable: there is no store, or it does not answer.
    """
    cutoff = ((now or datetime.now(UTC)) - older).timestamp()
    found = _read()
    running = [run.info.run_id for run in found.runs if _is_running(run, found)]
    kept = kept_versions(found.client, found.entries, keep_last, cutoff * 1000, running)
    items = [
        *_versions(found, kept),
        *_models(found, kept, cutoff * 1000),
        *_runs(found, kept, cutoff * 1000),
        *_folders(cutoff),
    ]
    return Plan(items=items, kept=kept)


def _folders(cutoff: float) -> Iterator[Item]:
    for folder in files.unused_indexes(cutoff):
        yield _on_disk("index", folder, "the index of a searched folder")
    for folder in files.abandoned_folders():
        yield _on_disk("folder", folder, "what a killed program left")


def _read() -> _Contents:
    from mlflow.entities import ViewType

    client = store.connect()
    with store.answering():
        records = open_records()
        names = {
            each.experiment_id: each.name
            for each in _pages(client.search_experiments, view_type=ViewType.ALL)
            if each.name != journal.EXPERIMENT
        }
        ids = [*names]
        return _Contents(
            client=client,
            records=records,
            entries=records.entries(None),
            experiments=names,
            runs=_runs_of(client, ids, ViewType.ACTIVE_ONLY),
            deleted_runs=_runs_of(client, ids, ViewType.DELETED_ONLY),
            models=[*_pages(client.search_logged_models, experiment_ids=ids)] if ids else [],
            busy={what for what, is_alive in in_progress.marked().items() if is_alive},
        )


def _runs_of(client: "MlflowClient", ids: Sequence[str], view: int) -> list["Run"]:
    options = {"experiment_ids": ids, "run_view_type": view}
    return [*_pages(client.search_runs, **options)] if ids else []


def _pages(search: Callable[..., Any], **options: Any) -> Iterator[Any]:
    """Yield what MLflow finds, page by page."""
    token = None
    while token != "":
        found = search(page_token=token, **options)
        yield from found
        token = found.token or ""


def _versions(found: _Contents, kept: Mapping[Key, str]) -> Iterator[Item]:
    for entry in found.entries:
        if (entry.name, entry.number) not in kept:
            title = f"version {entry.number} of {entry.name}, of {_day(entry.created_ms)}"
            reference = f"{entry.name}/{entry.number}"
            yield Item(kind="version", identifier=reference, title=title, size_bytes=0)


def _models(found: _Contents, kept: Mapping[Key, str], cutoff_ms: float) -> Iterator[Item]:
    """Yield the files of versions that go, and old ones of no version."""
    used: set[str] = set()
    going: set[str] = set()
    for entry in found.entries:
        with store.answering():
            location = found.records.location(entry.name, entry.number)
        (used if (entry.name, entry.number) in kept else going).add(location)
    for model in found.models:
        location = str(model.artifact_location)
        if location in used or ("model", model.model_id) in found.busy or not is_ours(model.name):
            continue
        if location in going or model.last_updated_timestamp < cutoff_ms:
            yield _stored(
                "model",
                model.model_id,
                f"files of {printable(model.name)}, of {_day(model.creation_timestamp)}",
                location,
            )


def _runs(found: _Contents, kept: Mapping[Key, str], cutoff_ms: float) -> Iterator[Item]:
    """Yield old runs that ended, and those that were deleted softly: they still take space."""
    needed = {entry.run_id for entry in found.entries if (entry.name, entry.number) in kept} | {
        run.info.run_id for run in found.runs if _is_running(run, found)
    }
    parents = {
        run.data.tags[PARENT]
        for run in found.runs
        if PARENT in run.data.tags and run.info.run_id in needed
    }
    for run in found.runs:
        run_id = run.info.run_id
        if run_id not in needed | parents and _is_ours(run, found) and _ended(run) < cutoff_ms:
            yield _run_item(run, "run")
    for run in found.deleted_runs:
        if _is_ours(run, found) and _ended(run) < cutoff_ms:
            item = _run_item(run, "deleted run")
            if item.size_bytes or store.folder():
                yield item


def _run_item(run: "Run", word: str) -> Item:
    title = f"{word} {printable(run.info.run_name)}, of {_day(_ended(run))}"
    return _stored("run", run.info.run_id, title, str(run.info.artifact_uri))


def _is_running(run: "Run", found: _Contents) -> bool:
    return run.info.status in RUNNING or ("run", run.info.run_id) in found.busy


def _is_ours(run: "Run", found: _Contents) -> bool:
    """Return whether a training, a sweep, an import or the starters made a run."""
    return (
        is_ours(found.experiments[run.info.experiment_id])
        or RECIPE in run.data.params
        or SWEEP in run.data.tags
    )


def _ended(run: "Run") -> float:
    """Return when a run ended, or began where it didn't end, in milliseconds since 1970."""
    return float(run.info.end_time or run.info.start_time or 0)


def _stored(kind: Kind, identifier: str, title: str, location: str) -> Item:
    return Item(
        kind=kind,
        identifier=identifier,
        title=title,
        size_bytes=files.size_bytes(location),
        location=location,
    )


def _on_disk(kind: Kind, folder: Any, title: str) -> Item:
    return Item(
        kind=kind,
        identifier=str(folder),
        title=title,
        size_bytes=files.folder_bytes(folder),
    )


def _day(milliseconds: int | float) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"
