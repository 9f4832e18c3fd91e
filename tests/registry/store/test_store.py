import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry import store
from registry.errors import Unreachable
from registry.store import mlflow_client
from tests.conftest import unused_port

WORK = """
from registry import store
client = store.connect(create=True)
run = client.create_run(store.experiment("shared"))
for step in range(50):
    client.log_metric(run.info.run_id, "loss", step, step=step)
print(run.info.experiment_id)
"""


@pytest.fixture
def new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "new"))
    return tmp_path / "new"


def test_two_processes_can_create_and_write_a_store_at_once(new_folder: Path) -> None:
    new_folder.mkdir()
    (new_folder / "mlflow.db.building").write_bytes(b"left by a process that was killed")
    command = [sys.executable, "-c", WORK]
    pair = [
        subprocess.Popen(command, cwd=new_folder, stdout=subprocess.PIPE, env=_environment())
        for _ in range(2)
    ]
    ids = [process.communicate(timeout=120)[0].decode().strip() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert ids[0] == ids[1] != ""
    with sqlite3.connect(new_folder / "mlflow.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT count(*) FROM metrics").fetchone() == (100,)
        places = database.execute("SELECT artifact_location FROM experiments").fetchall()
    artifacts = (new_folder / "artifacts").as_uri()
    assert all(place.startswith(artifacts + "/") for (place,) in places)
    assert not (new_folder / "mlruns").exists()


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(store.PROJECT)}


def test_a_store_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store.folder() == store.PROJECT / "mlruns"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store.folder() is None
    assert store.tracking_uri() == "http://127.0.0.1:5000"


def test_connecting_sets_mlflow_up_and_keeps_the_users_own_choice(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    store.connect()
    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == store.tracking_uri()
    assert str(fresh_store) in store.tracking_uri()
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_an_experiment_is_made_once_and_comes_back_after_deletion(fresh_store: Path) -> None:
    client, first = store.connect(), store.experiment("dln")
    place = client.get_experiment(first).artifact_location
    assert place == (fresh_store / "artifacts" / "dln").as_uri()
    client.delete_experiment(first)
    assert store.experiment("dln") == first
    assert client.get_experiment(first).lifecycle_stage == "active"


def test_a_moved_store_writes_to_its_new_place(
    fresh_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.experiment("dln")
    moved = fresh_store.rename(tmp_path / "moved")
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(moved))
    after = store.experiment("dln")
    client = store.connect()
    assert after != before
    assert client.get_experiment(after).artifact_location.startswith(moved.as_uri())
    assert client.get_experiment(before).name == f"dln (moved, {before})"


def test_a_server_that_is_not_there_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    mlflow_client.configure()  # imports MLflow, which is not timed here
    start = time.monotonic()
    reason = r"does not answer \(Connection refused\): start it"
    with pytest.raises(Unreachable, match=f"{address} {reason}"):
        store.connect()
    assert time.monotonic() - start < 60, "MLflow's own limits are minutes"


def test_a_broken_database_is_named_and_left_as_it_is(
    new_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from registry import versions

    new_folder.mkdir()
    database = new_folder / "mlflow.db"
    database.write_text("no database " * 100)
    with pytest.raises(Unreachable, match=r"is damaged \(file is not a database\)") as e:
        versions.resolve("dln")
    assert str(new_folder) in str(e.value)
    assert "\n" not in str(e.value)
    assert database.read_text() == "no database " * 100
    assert "Traceback" not in capfd.readouterr().err


def test_a_database_that_lost_a_table_is_named_without_a_traceback(
    fresh_store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from registry import versions

    assert versions.list_versions() == []
    with sqlite3.connect(fresh_store / "mlflow.db") as database:
        database.execute("DROP TABLE registered_models")
    with pytest.raises(Unreachable, match=r"is damaged \(.*no such table"):
        versions.list_versions()
    assert "Traceback" not in capfd.readouterr().err


PRINT_FOLDER = "from registry import store; print(store.folder())"


@pytest.mark.parametrize(("checkout", "place"), [(True, "package"), (False, "elsewhere")])
def test_outside_a_checkout_the_store_is_in_the_current_folder(
    tmp_path: Path, checkout: bool, place: str
) -> None:
    package, elsewhere = tmp_path / "package", tmp_path / "elsewhere"
    shutil.copytree(store.PROJECT / "registry", package / "registry")
    elsewhere.mkdir()
    if checkout:
        (package / "pyproject.toml").touch()
    names = ("EXPRESSION_STUDIO_STORE", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in names}

    def folder(**chosen: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", PRINT_FOLDER],
            cwd=elsewhere,
            env=environment | {"PYTHONPATH": str(package)} | chosen,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert folder() == str(tmp_path / place / "mlruns")
    assert folder(EXPRESSION_STUDIO_STORE="mine") == str(elsewhere / "mine")
    assert folder(MLFLOW_TRACKING_URI="http://127.0.0.1:5000") == "None"
