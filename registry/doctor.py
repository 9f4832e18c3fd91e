"""What killed processes left in the store: runs that still count as running, half-stored models."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry import entries, logged_models, store
from registry.console import printable
from registry.errors import BadVersion
from registry.store import in_progress

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

RUNNING, PENDING, KILLED = "RUNNING", "PENDING", "KILLED"


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """What a process did not finish."""

    kind: str
    """`run`, or `model`: a logged model of MLflow that is no version of a registered one."""
    identifier: str
    name: str
    """What it is called in a sentence."""
    state: str
    """What is wrong with it, as the end of a sentence."""
    is_killed: bool
    """Whether its process has certainly ended; else it may live, and is left alone."""

    @property
    def found(self) -> str:
        """A sentence about what was found and what is to be done."""
        if self.is_killed:
            return f"{self.name} {self.state}: its process was killed."
        ends = "ends it" if self.kind == "run" else "deletes it"
        return (
            f"{self.name} {self.state}; if nothing writes to it any more, on no machine, "
            f"`python -m registry doctor --clean {self.identifier}` {ends}."
        )

    @property
    def cleaned(self) -> str:
        """A sentence about what `clean` has done."""
        done = "is ended now" if self.kind == "run" else "was deleted"
        return f"{self.name} {done}{'; its process was killed' if self.is_killed else ''}."


def leftovers() -> list[Leftover]:
    """Return what killed processes left, and what may be left, in the store.

    Runs and models that a living process of this machine writes are not among them.

    Raises:
        EmptyRegistry, Unreachable: there is no store, or it does not answer.
    """
    client = store.connect()
    with store.answering():
        marked = in_progress.marked()
        return [*_runs(client, marked), *_models(client, marked)]


def find(identifier: str, among: Sequence[Leftover]) -> Leftover:
    """Return the run or model of an identifier.

    Raises:
        BadVersion: it is not among them.
    """
    found = next((each for each in among if each.identifier == identifier), None)
    if found is None:
        raise BadVersion(
            f"No program left a run or model {printable(identifier)}: "
            "`python -m registry doctor` names those that are left."
        )
    return found


def clean(leftover: Leftover) -> None:
    """End the run, or delete the model and its files, whose program is known to have ended.

    Raises:
        Unreachable: the store does not answer.
    """
    client = store.connect()
    with store.answering():
        if leftover.kind == "run":
            client.set_terminated(leftover.identifier, KILLED)
        else:
            logged_models.remove(client, client.get_logged_model(leftover.identifier))
        in_progress.forget(leftover.kind, leftover.identifier)


def clean_killed() -> list[str]:
    """Clean what processes left that were certainly killed; return a sentence for each.

    Takes no time where no process of this machine was killed.

    Raises:
        Unreachable: the store does not answer.
    """
    with store.answering():
        marked = in_progress.marked()
    if all(marked.values()):
        return []
    killed = [leftover for leftover in leftovers() if leftover.is_killed]
    for leftover in killed:
        clean(leftover)
    for (kind, identifier), is_alive in marked.items():
        if not is_alive:  # what it marked may have been finished, but for its file
            in_progress.forget(kind, identifier)
    return [leftover.cleaned for leftover in killed]


def _runs(client: "MlflowClient", marked: dict[tuple[str, str], bool]) -> Iterator[Leftover]:
    for run in _all_running(client):
        is_alive = marked.get(("run", run.info.run_id))
        if not is_alive:
            yield Leftover(
                kind="run",
                identifier=run.info.run_id,
                name=f"Run {run.info.run_id} ({printable(run.info.run_name)})",
                state="counts as running",
                is_killed=is_alive is False,
            )


def _models(client: "MlflowClient", marked: dict[tuple[str, str], bool]) -> Iterator[Leftover]:
    for model in _all_models(client):
        is_alive = marked.get(("model", model.model_id))
        unfinished = str(model.status) == PENDING or is_alive is False
        if is_alive or not unfinished or _is_version(client, model):
            continue
        yield Leftover(
            kind="model",
            identifier=model.model_id,
            name=f"Model {model.model_id} ({printable(model.name)})",
            state=f"was stored in part ({_size(model)})",
            is_killed=is_alive is False,
        )


def _all_running(client: "MlflowClient") -> Iterator["Run"]:
    page = None
    while page != "":
        found = client.search_runs(
            _experiments(client), f"attributes.status = '{RUNNING}'", page_token=page
        )
        yield from found
        page = found.token or ""


def _all_models(client: "MlflowClient") -> Iterator["LoggedModel"]:
    page = None
    while page != "":
        found = client.search_logged_models(_experiments(client), page_token=page)
        yield from found
        page = found.token or ""


def _experiments(client: "MlflowClient") -> list[str]:
    return [each.experiment_id for each in client.search_experiments()]


def _is_version(client: "MlflowClient", model: "LoggedModel") -> bool:
    """Return whether a logged model became a version of a registered model."""
    found = client.search_model_versions(f"run_id='{model.source_run_id}'")
    return any(entry.source == f"{entries.LOGGED_MODEL}{model.model_id}" for entry in found)


def _size(model: "LoggedModel") -> str:
    """Return how much a model's files take, for a person."""
    folder = entries.local_folder(model.artifact_location)
    if folder is None:
        return "its files are on the server"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{size / 1e6:.1f} MB in {folder}"
