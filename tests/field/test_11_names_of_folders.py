"""A store works in a folder of any name, and writes nothing outside it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from registry import artifacts, store, versions
from registry.errors import Unreachable
from tests.registry.conftest import Register

LONGEST_BYTES = 80
NAMES = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1)
    .filter(lambda name: name not in {".", ".."})
    .filter(lambda name: len(name.encode()) <= LONGEST_BYTES)
)


@contextmanager
def store_in(name: str, migrated: Path, parent: Path) -> Iterator[Path]:
    """Use a store in a new folder, as a user does who starts the program beside it."""
    shutil.rmtree(parent, ignore_errors=True)
    folder = parent / name
    folder.mkdir(parents=True)
    shutil.copy(migrated, folder)
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
        os.chdir(parent)
        try:
            yield folder
        finally:
            os.chdir(before)
    assert list(parent.iterdir()) == [folder], "something was written outside the folder"


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=NAMES)
@example(name="with space and 100%")
@example(name="a#b?c&d=e;f+g~h")
@example(name="a%23b%2Fc%")
@example(name="quotes ' \" ` and \\ backslash")
@example(name="line\nbreak\ttab")
@example(name="Gesichter äöü 顔 \U0001f600")
@example(name="[x]{y}(z)@host:5000")
@example(name="file:x?mode=memory")
@example(name="-rf $HOME *")
def test_a_store_in_a_folder_of_any_name_keeps_runs_and_files(
    name: str, migrated: Path, tmp_path: Path
) -> None:
    with store_in(name, migrated, tmp_path / "parent") as folder:
        experiment = store.experiment("dln")
        client = store.connect()
        run = client.create_run(experiment).info.run_id
        client.log_dict(run, {"written": name}, "deep/file.json")
        assert artifacts.fetch_json(run, "deep/file.json") == {"written": name}
        assert list(folder.rglob("file.json")) != []
        assert versions.list_versions() == []
        assert store.experiment("dln") == experiment


def test_a_version_is_registered_and_loaded_in_such_a_folder(
    register: Register, migrated: Path, tmp_path: Path
) -> None:
    with store_in("50% of #1 ? & 'ä'", migrated, tmp_path / "parent"):
        number = register().number
        assert versions.load(f"dln/{number}").version.number == number
        assert versions.config(f"dln/{number}")["width"] == 4


def test_a_name_that_is_no_unicode_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
    with pytest.raises(Unreachable, match=r"caf\\xe9 can't hold a registry") as raised:
        store.experiment("dln")
    str(raised.value).encode()
    assert not folder.exists()
