"""The tables with the outcome of each item of an evaluation, among the artifacts of a run.

The name of a table ends with the number of the version that was measured.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from registry import artifacts, store
from registry.entries import Version
from registry.exchange.layout import OUTCOMES
from registry.temporary import TemporaryFolder


def fetch(version: Version, folder: Path) -> list[Path]:
    """Copy the tables of a version into a folder, without its number in their names.

    Raises:
        Unreachable: the store does not answer.
    """
    found = []
    for file in artifacts.list_files(version.run_id, OUTCOMES):
        path = PurePosixPath(file)
        stem = path.stem.removesuffix(_ending(version))
        if stem != path.stem and (copy := artifacts.fetch(version.run_id, file, folder)):
            found.append(copy.rename(folder / f"{stem}{path.suffix}"))
    return found


def log(version: Version, tables: Iterable[Path]) -> None:
    """Add tables, named as `fetch` names them, to the run of a version.

    Raises:
        Deleted: the run was deleted.
        Unreachable: the store does not answer.
    """
    client = store.connect()
    thing = f"The outcomes of {version.title}"
    with store.writing(thing, version.run_id), TemporaryFolder() as folder:
        for table in tables:
            path = folder / f"{table.stem}{_ending(version)}{table.suffix}"
            shutil.copyfile(table, path)
            client.log_artifact(version.run_id, str(path), OUTCOMES)


def _ending(version: Version) -> str:
    return f"-version-{version.number}"
