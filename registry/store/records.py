"""What the store knows of models, versions and runs: read by SQL where it is local, else by MLflow.

To import MLflow takes seconds, to read its database milliseconds. Only MLflow writes to it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from registry import store
from registry.store.record_types import Entry, Records, Run
from registry.store.sql_records import SqlRecords, can_read

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


def open_records() -> Records:
    """Return what reads the store in use.

    Raises:
        Unreachable: the server does not answer, or the local database can't be used.
    """
    local = store.folder()
    if local is not None and can_read(local / "mlflow.db"):
        return SqlRecords(local / "mlflow.db")
    return MlflowRecords(store.connect())


class MlflowRecords:
    """Reads the store through MLflow's client."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def aliases(self, name: str) -> Mapping[str, int] | None:
        """Return the version of each alias of a model; None where there is no such model."""
        model = self._model(name)
        return model and {alias: int(number) for alias, number in model.aliases.items()}

    def model_tags(self, name: str) -> Mapping[str, str]:
        """Return the tags of a model; none where there is no such model."""
        model = self._model(name)
        return dict(model.tags) if model else {}

    def _model(self, name: str) -> "RegisteredModel | None":
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(name)
        except MlflowException as error:
            _raise_unless_absent(error)
            return None

    def entry(self, name: str, number: int) -> Entry | None:
        """Return a version; None where there is no such version."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_model_version(name, str(number))
        except MlflowException as error:
            _raise_unless_absent(error)
            return None
        return entry_of(found, list(found.aliases))

    def entries(self, name: str | None) -> list[Entry]:
        """Return the versions of a model, or of all, by name and newest first."""
        only = f"name='{name}'" if name else None
        found = self._client.search_model_versions(only)
        models = self._client.search_registered_models(filter_string=only)
        aliases = {model.name: model.aliases for model in models}
        entries = []
        for each in found:  # MLflow leaves the aliases out of what it finds
            pointing = aliases.get(each.name, {}).items()
            names = [alias for alias, number in pointing if int(number) == int(each.version)]
            entries.append(entry_of(each, names))
        return sorted(entries, key=lambda entry: (entry.name, -entry.number))

    def location(self, name: str, number: int) -> str:
        """Return the address of the folder with a version's files."""
        return str(self._client.get_model_version_download_uri(name, str(number)))

    def run(self, run_id: str) -> Run | None:
        """Return a run; None where there is no such run."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_run(run_id)
        except MlflowException as error:
            _raise_unless_absent(error)
            return None
        return Run(artifacts=found.info.artifact_uri, tags=found.data.tags)


def entry_of(found: "ModelVersion", aliases: Sequence[str]) -> Entry:
    """Return a version of MLflow's client as an entry."""
    return Entry(
        name=found.name,
        number=int(found.version),
        run_id=found.run_id or "",
        status=found.status,
        description=found.description or "",
        created_ms=found.creation_timestamp,
        tags=found.tags,
        aliases=aliases,
        source=found.source or "",
    )


def _raise_unless_absent(error: Exception) -> None:
    """Raise an error again unless it is MLflow's answer that a thing isn't there."""
    if getattr(error, "error_code", "") not in store.ANSWERS:
        raise error
