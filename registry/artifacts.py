"""Files that were logged to a run, fetched from the store."""

import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from registry import entries, store
from registry.errors import Unreachable
from registry.store import records
from registry.temporary import TemporaryFolder


def fetch(run_id: str, file: str, folder: Path) -> Path | None:
    """Fetch an artifact of a run into `folder` and return its path; None where there is none.

    Args:
        run_id: the run; None is returned where it doesn't exist, too.
        file: path of the artifact in the run, such as `evaluation/items.parquet`.
        folder: where the copy is written.

    Raises:
        Unreachable: the store does not answer, or the artifact is there and can't be read.
    """
    if not store.exists():
        return None
    with store.answering():
        run = records.open_records().run(run_id)
        if run is None:
            return None
        run_folder = entries.local_folder(run.artifacts)
        if run_folder is None:
            return _downloaded(run_id, file, run.artifacts, folder)
        if not (run_folder / file).exists():
            return None
        try:
            return Path(shutil.copy2(run_folder / file, folder))
        except OSError as error:
            raise unreadable(run_id, file, str(error)) from error


def names(run_id: str, folder: str) -> list[str]:
    """Return the names of the files in a folder of a run; none where either doesn't exist.

    Raises:
        Unreachable: the store does not answer.
    """
    if not store.exists():
        return []
    with store.answering():
        run = records.open_records().run(run_id)
        if run is None:
            return []
        run_folder = entries.local_folder(run.artifacts)
        if run_folder is None:
            return [PurePosixPath(path).name for path in _listed(run_id, folder)]
        found = run_folder / folder
        return [path.name for path in found.iterdir()] if found.is_dir() else []


def fetch_json(run_id: str, file: str) -> Any:
    """Return the content of an artifact that is JSON; None where there is no such artifact.

    Raises:
        Unreachable: the store does not answer, or the artifact is there and can't be read.
    """
    with TemporaryFolder() as folder:
        path = fetch(run_id, file, folder)
        try:
            return None if path is None else json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise unreadable(run_id, file, str(error)) from error


def unreadable(run_id: str, file: str, cause: str) -> Unreachable:
    """Return the error for an artifact that is there and can't be read."""
    return Unreachable(
        f"{file} of run {run_id} can't be read ({cause}): mend that and run the same command again."
    )


def _downloaded(run_id: str, file: str, location: str, folder: Path) -> Path | None:
    """Fetch an artifact from a server, if it is there."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    parent = str(PurePosixPath(file).parent)
    if file not in _listed(run_id, None if parent == "." else parent):
        return None
    try:
        return Path(download_artifacts(artifact_uri=f"{location}/{file}", dst_path=str(folder)))
    except MlflowException as error:  # its last line is the cause, its code may be wrong
        raise unreadable(run_id, file, str(error).strip().splitlines()[-1]) from error


def _listed(run_id: str, folder: str | None) -> list[str]:
    """Return the paths of the artifacts in a folder of a run; none where there is no run."""
    from mlflow.exceptions import MlflowException

    try:
        listed = store.connect().list_artifacts(run_id, folder)
    except MlflowException as error:
        if error.error_code in store.ANSWERS:
            return []
        raise
    return [artifact.path for artifact in listed]
