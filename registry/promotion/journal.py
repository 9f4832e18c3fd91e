"""The journal of a model: which version was put into production, when, by whom and why.

Each entry is a tag of MLflow's registered model. The same entries are a table of a run in the
experiment `journal`, for MLflow's UI. A move that nobody noted, because it was made in MLflow's UI
or by a program that was killed, is noted when it is first noticed.
"""

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from getpass import getuser
from typing import Any, Literal, get_args

from registry import store
from registry.errors import BadVersion, RegistryError
from registry.store import mlflow_client
from registry.store.records import open_records
from registry.versions import PRODUCTION

Kind = Literal["seeded", "promoted", "forced", "refused", "rolled back", "moved", "removed"]
"""`moved` and `removed`: the alias was found on another version, or gone, and nobody had noted it.
`forced`: promoted although it was refused."""
UNNOTED = ("moved", "removed")
UNKNOWN = "unknown (UI)"
PREFIX, KEY = "journal.", "%Y-%m-%dT%H:%M:%S.%fZ"
"""How the keys of the tags begin, and the form of the time that follows."""
EXPERIMENT, TABLE = "journal", "journal.json"
COLUMNS = ("at", "kind", "before", "after", "who", "why")
LONGEST_REASON = 2000
"""Characters of a reason that are kept: MLflow stores 5,000 of an entry."""
SAME_MOVE = timedelta(seconds=60)
"""An unnoted move is the same as a noted one to the same version within this time: whoever noticed
it saw the alias before the entry."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A move of the alias `production`, or a promotion that was refused."""

    at: datetime
    """When, in UTC; of a move that nobody noted, when it was noticed."""
    kind: Kind
    before: int | None
    """The version in production before; None where there was none."""
    after: int | None
    """The version it is about: the new one, or the refused one; None: the alias was removed, or a
    candidate was refused, which is no version of the model."""
    who: str
    why: str

    @property
    def moves(self) -> bool:
        """Whether it says which version is in production from now on."""
        return self.kind != "refused"

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON can hold it."""
        return asdict(self) | {"at": self.at.isoformat(timespec="microseconds")}


def read(name: str) -> list[Entry]:
    """Return the journal of a model, oldest entry first; empty where there is none.

    Raises:
        Unreachable: the store does not answer.
    """
    if not store.exists():
        return []
    with store.answering():
        tags = open_records().model_tags(name)
    found = (_entry(key, text) for key, text in tags.items() if key.startswith(PREFIX))
    return _distinct(sorted((entry for entry in found if entry), key=lambda entry: entry.at))


def add(name: str, kind: Kind, before: int | None, after: int | None, why: str = "") -> None:
    """Add an entry, dated now and signed with the user of MLflow or of this machine.

    Raises:
        Deleted: the model was deleted or renamed.
        Unreachable: the store does not answer.
    """
    who = UNKNOWN if kind in UNNOTED else _user()
    entry = Entry(
        at=datetime.now(UTC),
        kind=kind,
        before=before,
        after=after,
        who=who,
        why=why[:LONGEST_REASON],
    )
    client, text = store.connect(), json.dumps(entry.to_dict(), ensure_ascii=False)
    with store.writing(f"The journal of {name}", model=name):
        client.set_registered_model_tag(name, f"{PREFIX}{entry.at:{KEY}}", text)
    _write_table(name)


def observe(name: str) -> int | None:
    """Note a move of the alias that nobody noted; return the number of the version it points to.

    None: there is no such alias, or no such model. Where the journal can't be written, the move is
    noted later.

    Raises:
        Unreachable: the store does not answer.
    """
    if not store.exists():
        return None
    with store.answering():
        aliases = open_records().aliases(name)
    if aliases is None:
        return None
    now, noted = aliases.get(PRODUCTION), serving(read(name))
    if now != noted:
        try:
            add(name, "removed" if now is None else "moved", noted, now)
        except RegistryError:
            logger.exception("The journal of %s can't be written.", name)
    return now


def serving(entries: Iterable[Entry], at: datetime | None = None) -> int | None:
    """Return the version in production at a time, by the journal; None where there was none.

    Args:
        entries: the journal, oldest first.
        at: the time, with its zone; by default the end of the journal.
    """
    moves = [entry for entry in entries if entry.moves and (at is None or entry.at <= at)]
    return moves[-1].after if moves else None


def parse_time(text: str) -> datetime:
    """Return the time that a text names, in this machine's zone unless it names one.

    Raises:
        BadVersion: it names no time.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise BadVersion(f"{text!r} is no time: write 2026-11-27 or '2026-11-27 18:30'.") from error


def earlier(entries: Iterable[Entry]) -> list[int]:
    """Return the versions that can be rolled back to, the last first.

    A roll back takes what it came from off the list: the next one goes farther back.
    """
    stack: list[int] = []
    for entry in entries:
        if not entry.moves or entry.after is None:
            continue
        if entry.kind == "rolled back" and entry.after in stack:
            while stack[-1] != entry.after:
                stack.pop()
        elif not stack or stack[-1] != entry.after:
            stack.append(entry.after)
    return stack[::-1]


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out unnoted moves that somebody noted after all: the move just before or after."""
    moves = [entry for entry in entries if entry.moves]
    left_out = [
        entry
        for before, entry, after in zip([None, *moves], moves, [*moves[1:], None], strict=False)
        if entry.kind in UNNOTED and any(_is_same(each, entry) for each in (before, after))
    ]
    return [entry for entry in entries if entry not in left_out]


def _is_same(noted: Entry | None, unnoted: Entry) -> bool:
    """Return whether an entry that somebody made is about the move that was noticed."""
    return (
        noted is not None
        and noted.kind not in UNNOTED
        and noted.after == unnoted.after
        and abs(noted.at - unnoted.at) <= SAME_MOVE
    )


def _entry(key: str, text: str) -> Entry | None:
    """Return what a tag holds; None, and a line in the log, where a person changed it."""
    try:
        values = json.loads(text)
        entry = Entry(**values | {"at": datetime.fromisoformat(values["at"])})
        if entry.kind in get_args(Kind) and entry.at.tzinfo is not None:
            return entry
    except (KeyError, TypeError, ValueError):
        pass
    logger.warning("The tag %s is no entry of a journal: it is left out.", key)
    return None


def _user() -> str:
    """Return the user of MLflow's server, else of this machine."""
    try:
        return mlflow_client.user(store.tracking_uri()) or getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"user {os.getuid()}"


def _write_table(name: str) -> None:
    """Write the whole journal as a table of a run; the tags hold it already."""
    try:
        rows = [list(entry.to_dict().values()) for entry in read(name)]
        client = store.connect()
        with store.writing(f"The table of the journal of {name}"):
            run_id = _run(name)
            client.log_dict(run_id, {"columns": COLUMNS, "data": rows}, TABLE)
            shown_as = json.dumps([{"path": TABLE, "type": "table"}])
            client.set_tag(run_id, "mlflow.loggedArtifacts", shown_as)
    except RegistryError:
        logger.exception("The table of the journal of %s can't be written.", name)


def _run(name: str) -> str:
    """Return the run with the table of a model's journal, made where there is none."""
    client, experiment = store.connect(), store.experiment(EXPERIMENT)
    title = f"journal of {name}"
    found = client.search_runs(
        [experiment], f"attributes.run_name = '{title}'", max_results=1, order_by=["start_time ASC"]
    )
    if found:
        return str(found[0].info.run_id)
    run_id = str(client.create_run(experiment, run_name=title).info.run_id)
    client.set_terminated(run_id)
    return run_id
