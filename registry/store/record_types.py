"""Models, versions and runs as the store knows them, and how they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A version as MLflow's registry stores it; None and "" stand for what wasn't given."""

    name: str
    number: int
    run_id: str
    status: str
    """READY for a whole version."""
    description: str
    created_ms: int
    """Milliseconds since 1970, UTC."""
    tags: Mapping[str, str]
    aliases: Sequence[str]
    source: str
    """What it was made from: `models:/` and a logged model's id, or another version."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a training."""

    artifacts: str
    """The address of the folder with its files."""
    tags: Mapping[str, str]


@runtime_checkable
class Records(Protocol):
    """Reads the store's tables. All methods raise what SQLite or MLflow raise where they fail."""

    def aliases(self, name: str) -> Mapping[str, int] | None:
        """Return the version of each alias of a model; None where there is no such model."""

    def model_tags(self, name: str) -> Mapping[str, str]:
        """Return the tags of a model; none where there is no such model."""

    def entry(self, name: str, number: int) -> Entry | None:
        """Return a version; None where there is no such version."""

    def entries(self, name: str | None) -> list[Entry]:
        """Return the versions of a model, or of all, by name and newest first."""

    def location(self, name: str, number: int) -> str:
        """Return the address of the folder with a version's files."""

    def run(self, run_id: str) -> Run | None:
        """Return a run; None where there is no such run."""
