"""The versions that are never deleted, each with the reason."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from registry import artifacts, store
from registry.catalog import CANDIDATES, CATALOG
from registry.errors import BadVersion
from registry.promotion import journal, validation
from registry.store.record_types import Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient

Key = tuple[str, int]
"""Name of a registered model, and a version's number."""
NAMED = re.compile(rf"\b((?:{'|'.join(CATALOG)})(?:{CANDIDATES})?)/(\d+)\b")
"""A version that a recipe names, such as `dln/3`."""
CONFIG = "config.json"


def is_ours(name: str) -> bool:
    """Return whether a registered model, or an experiment, has the name of one of our models."""
    return name.removesuffix(CANDIDATES) in CATALOG


def kept_versions(
    client: "MlflowClient",
    entries: Sequence[Entry],
    keep_last: int,
    cutoff_ms: float,
    running: Iterable[str],
) -> dict[Key, str]:
    """Return the versions that stay, and why, as the end of a sentence.

    Args:
        client: of the store.
        entries: all versions of all registered models, of each model the newest first.
        keep_last: how many of each model stay in any case.
        cutoff_ms: what was made later stays, in milliseconds since 1970.
        running: ids of the runs that are under way, whose recipes may name versions.

    Raises:
        Unreachable: the store does not answer.
    """
    kept: dict[Key, str] = {}
    for name in {entry.name for entry in entries}:
        own = [entry for entry in entries if entry.name == name]
        for number, reason in _reasons(name, own, keep_last, cutoff_ms):
            kept.setdefault((name, number), reason)
    by_key = {(entry.name, entry.number): entry for entry in entries}
    for run_id in running:
        for key in _named(client, run_id) & by_key.keys():
            kept.setdefault(key, f"the running training {run_id} needs it")
    open_keys = [key for key in kept if key in by_key]
    while open_keys:  # what a kept version names is kept, too
        key = open_keys.pop()
        for needed in (_named(client, by_key[key].run_id) & by_key.keys()) - kept.keys():
            kept[needed] = f"version {key[1]} of {key[0]} was made with it"
            open_keys.append(needed)
    return kept


def still_needed(name: str, number: int) -> bool:
    """Return whether a version has an alias now, or answered last: it may be since the plan.

    Raises:
        Unreachable: the store does not answer.
    """
    from registry.store.records import open_records

    with store.answering():
        aliases = open_records().aliases(name) or {}
    return number in aliases.values() or number == journal.serving(journal.read(name))


def _reasons(
    name: str, own: Sequence[Entry], keep_last: int, cutoff_ms: float
) -> Iterator[tuple[int, str]]:
    """Yield the versions of one model that stay by themselves, the weightiest reasons first."""
    if not is_ours(name):
        yield from ((entry.number, f"{name} is no model of this project") for entry in own)
        return
    for entry in own:
        if entry.aliases:
            yield entry.number, f"it has the alias {', '.join(sorted(entry.aliases))}"
    yield from _served(name, {entry.number for entry in own})
    if starter := next((entry for entry in own if entry.tags.get("starter")), None):
        yield starter.number, "it is the newest starter"
    for entry in own[:keep_last]:
        yield entry.number, f"it is among the newest {keep_last}"
    for entry in own:
        if entry.created_ms > cutoff_ms:
            yield entry.number, "it is not old enough"


def _served(name: str, there: set[int]) -> Iterator[tuple[int, str]]:
    """Yield the version that answers, by the journal, and the one that a roll back takes."""
    entries = journal.read(name)
    now = journal.serving(entries)
    if now is not None:
        yield now, "it was in production last"
    usable = there - validation.failed(name) - {now}
    before = next((number for number in journal.earlier(entries) if number in usable), None)
    if before is not None:
        yield before, "it was in production before: `rollback` takes it"


def _named(client: "MlflowClient", run_id: str) -> set[Key]:
    """Return the versions that the recipe of a run names."""
    from mlflow.exceptions import MlflowException

    try:
        with store.answering():
            params: Mapping[str, str] = client.get_run(run_id).data.params
    except MlflowException:  # the run was deleted: nothing is known of its recipe
        return set()
    config = artifacts.fetch_json(run_id, CONFIG)  # parameters may be cut short
    text = " ".join([*params.values(), json.dumps(config)])
    return {(name, int(number)) for name, number in NAMED.findall(text)}


def require_keep_last(keep_last: int) -> None:
    """Check how many versions of each model shall stay.

    Raises:
        BadVersion: less than one.
    """
    if keep_last < 1:
        raise BadVersion("--keep-last has to be 1 or more: the newest version always stays.")
