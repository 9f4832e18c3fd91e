"""The outcome of each item of an evaluation: a table of a run, by which versions are compared."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry import artifacts, store
from registry.entries import Version
from registry.temporary import TemporaryFolder

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "evaluation"
"""The folder of a run with the tables."""
KEY = b"evaluation"
"""The key of the table's description in the metadata of its Parquet file."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the items of a table are, and how they were measured."""

    set: str
    """Name of the data set."""
    split: str
    """train, validation or test."""
    digest: str
    """SHA-256 of the set: outcomes on different data are never compared."""
    folder: str
    """The prepared set's folder, as it was named for the evaluation."""
    measured_by: str = ""
    """What measured the items, if that isn't the same for all versions of a model: of transfers
    the digest of the encoder. Outcomes measured by different encoders are never compared."""
    imported: bool = False
    """Whether they came with a version of another registry: the gates don't count them."""

    @property
    def name(self) -> str:
        """How the table's file begins."""
        return f"{self.split}-{self.set}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """A table of outcomes; docs/formats.md lists its columns."""

    source: Source
    items: "pd.DataFrame"
    """A row for each triplet and pair of an embedding, for each face of a classifier, or for each
    transfer of a generator."""


def write_file(path: Path, outcomes: Outcomes) -> None:
    """Write a table as Parquet, with its source as the file's metadata.

    Raises:
        OSError: the file can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(outcomes.items, preserve_index=False)
    source = json.dumps(asdict(outcomes.source)).encode()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: source})
    pq.write_table(table, path, compression="zstd", compression_level=19)


def read_file(path: Path) -> Outcomes | None:
    """Return the table in a file; None where an older program wrote it, without its source.

    Raises:
        OSError, ValueError: it is no such table.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    described = (table.schema.metadata or {}).get(KEY)
    if described is None:
        return None
    try:
        source = Source(**json.loads(described))
    except TypeError as error:
        raise ValueError("its metadata names no data set") from error
    return Outcomes(source=source, items=table.to_pandas())


def log(version: Version, outcomes: Outcomes) -> None:
    """Store a table with the run of a version, in place of an older one of this set and split.

    Raises:
        Deleted: the version's run was deleted.
        Unreachable: the store does not answer.
    """
    with TemporaryFolder() as folder:
        path = folder / f"{outcomes.source.name}.parquet"
        write_file(path, outcomes)
        log_file(version, path)


def log_file(version: Version, file: Path) -> None:
    """Store the table in a file, as `log` does; it is named `{split}-{set}.parquet`.

    Raises:
        Deleted: the version's run was deleted.
        Unreachable: the store does not answer.
    """
    client = store.connect()
    with (
        store.writing(f"The outcomes of {version.title}", version.run_id),
        TemporaryFolder() as folder,
    ):
        named = shutil.copy(file, folder / f"{file.stem}{_end_of_name(version)}")
        client.log_artifact(version.run_id, str(named), FOLDER)


def names(version: Version) -> list[str]:
    """Return how the names of a version's tables begin, `{split}-{set}`, sorted.

    Raises:
        Unreachable: the store does not answer.
    """
    end = _end_of_name(version)
    found = artifacts.names(version.run_id, FOLDER)
    return sorted(name.removesuffix(end) for name in found if name.endswith(end))


def read(version: Version) -> list[Outcomes]:
    """Return all tables of a version, by name of their files.

    Raises:
        Unreachable: the store does not answer, or a table is there and can't be read.
    """
    found = (read_named(version, name) for name in names(version))
    return [outcomes for outcomes in found if outcomes is not None]


def read_named(version: Version, name: str) -> Outcomes | None:
    """Return one of the tables of `names`; None where it is gone, or an older program wrote it.

    Raises:
        Unreachable: the store does not answer, or the table is there and can't be read.
    """
    return _fetched(version, f"{FOLDER}/{name}{_end_of_name(version)}")


def _fetched(version: Version, file: str) -> Outcomes | None:
    with TemporaryFolder() as folder:
        path = artifacts.fetch(version.run_id, file, folder)
        try:
            return None if path is None else read_file(path)
        except (OSError, ValueError) as error:
            raise artifacts.unreadable(version.run_id, file, str(error)) from error


def _end_of_name(version: Version) -> str:
    """Return how the names of a version's tables end; a candidate and its copy share theirs."""
    candidate = version.copy_of or (f"{version.name}/{version.number}" * version.is_candidate)
    if candidate:
        return f"-candidate-{candidate.rpartition('/')[2]}.parquet"
    return f"-version-{version.number}.parquet"
