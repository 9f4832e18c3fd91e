"""Each cause for which the store fails has a sentence of its own, and nobody loses a registry."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from mlflow.store import db_migrations
from sqlalchemy import create_engine

from registry import store, versions
from registry.__main__ import main
from registry.errors import Unreachable
from registry.store import mlflow_client
from tests.field.stub_server import stub_server

HOLD = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    sys.stdin.read()
"""
NOBODY = 65534
"""The user without rights on every Linux."""
MIGRATIONS = 3
"""The older schema lacks the newest of them."""


@pytest.fixture
def database(fresh_store: Path) -> Path:
    return fresh_store / "mlflow.db"


@pytest.fixture(scope="module")
def written_by_older_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database that an older MLflow wrote, with one experiment; it takes seconds."""
    from mlflow.store.tracking.dbmodels.initial_models import Base

    database = tmp_path_factory.mktemp("older") / "mlflow.db"
    scripts = ScriptDirectory(next(iter(db_migrations.__path__)))
    older = list(scripts.walk_revisions())[MIGRATIONS].revision
    config = Config()
    config.set_main_option("script_location", scripts.dir)
    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "INSERT INTO experiments (name, lifecycle_stage, workspace) "
            "VALUES ('mine', 'active', 'default')"
        )
        connection.commit()
    return database


@pytest.fixture
def older(database: Path, written_by_older_mlflow: Path) -> Path:
    shutil.copy(written_by_older_mlflow, database)
    return database


def failure(work: Callable[[], object]) -> str:
    with pytest.raises(Unreachable) as raised, store.answering():
        work()
    return str(raised.value)


def write(database: Path, *pragmas: str, mode: str = "rw") -> None:
    """Write as MLflow does, but don't wait for a lock."""
    where = f"{database.as_uri()}?mode={mode}"
    with closing(sqlite3.connect(where, uri=True, timeout=0)) as connection:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE big AS SELECT randomblob(100000)")


def test_a_locked_database_is_named_with_the_program_that_has_it(database: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        message = failure(lambda: write(database))
        holder.communicate()
    assert f"is being written by process {holder.pid} (" in message
    assert "wait, and run the same command again" in message
    assert "aside" not in message
    assert "\n" not in message


def test_a_read_only_database_is_not_left_for_another(database: Path) -> None:
    message = failure(lambda: write(database, mode="ro"))
    assert "can't be opened or written (attempt to write a readonly database)" in message
    assert f"give this user the permission to write to {database.parent}" in message
    assert "EXPRESSION_STUDIO_STORE" not in message


@contextmanager
def locked_out(folder: Path) -> Iterator[None]:
    """Take this process the right to look into a folder."""
    folder.chmod(0)
    if os.geteuid() == 0:  # who may look everywhere
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_this_user_may_not_open_is_not_called_gone(database: Path) -> None:
    assert versions.list_versions() == []
    for use in (versions.list_versions, store.connect, lambda: versions.resolve("dln")):
        with locked_out(database.parent), pytest.raises(Unreachable) as raised:
            use()
        assert "can't be opened or written (" in str(raised.value)
        assert "give this user the permission" in str(raised.value)
    assert versions.list_versions() == []


def test_a_full_disk_is_called_full(database: Path) -> None:
    message = failure(lambda: write(database, "max_page_count=1"))
    assert message.startswith(f"No space left on device ({database.parent}): free space")


def test_a_damaged_database_is_to_be_restored_first(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)
    message = failure(versions.list_versions)
    assert f"is damaged (database disk image is malformed): put a copy of {database} back" in (
        message
    )
    assert "only if nothing can be saved" in message


def test_an_older_schema_is_left_alone_until_it_is_upgraded_with_a_copy(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = older.read_bytes()
    message = failure(versions.list_versions)
    assert "was written by an older MLflow: run `python -m registry upgrade`" in message
    assert older.read_bytes() == before, "MLflow must not migrate it unasked"
    assert main(["list"]) == 3
    assert main(["upgrade"]) == 0
    printed = capsys.readouterr().out
    (copy,) = older.parent.glob("mlflow.db.copy-*")
    assert str(copy) in printed
    with closing(sqlite3.connect(copy)) as kept, closing(sqlite3.connect(older)) as upgraded:
        revisions = [
            each.execute("SELECT version_num FROM alembic_version").fetchone()
            for each in (kept, upgraded)
        ]
        assert revisions[0] != revisions[1]
        for each in (kept, upgraded):
            assert each.execute("SELECT name FROM experiments").fetchone() == ("mine",)
    assert store.connect().get_experiment_by_name("mine") is not None
    assert main(["upgrade"]) == 0
    assert "already" in capsys.readouterr().out
    assert list(older.parent.glob("mlflow.db.copy-*")) == [copy]


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("DROP TABLE jobs")  # a migration wants it
        connection.commit()
        before = list(connection.iterdump())
    assert main(["upgrade"]) == 3
    assert "the database is as it was before" in capsys.readouterr().err
    with closing(sqlite3.connect(older)) as connection:
        assert list(connection.iterdump()) == before


def test_a_newer_schema_needs_the_newer_mlflow(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    before = database.read_bytes()
    assert "was written by a newer MLflow" in failure(versions.list_versions)
    assert main(["upgrade"]) == 3
    assert "was written by a newer MLflow" in capsys.readouterr().err
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, "", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (401, '{"error_code": "UNAUTHENTICATED"}', "MLFLOW_TRACKING_PASSWORD"),
        (403, "", "forbids this to the user (status 403): ask for the permission"),
        (404, "<html>", "also the path after the host, such as /mlflow"),
        (500, "", "its own log says why"),
        (503, '{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Busy"}', "failed (TEMPORAR"),
        (200, "<html>welcome</html>", "answers, but not as MLflow"),
    ],
)
def test_a_servers_refusal_has_a_sentence_by_its_status(
    monkeypatch: pytest.MonkeyPatch, status: int, body: str, sentence: str
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    with stub_server(status, body) as (place, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{place}")
        with pytest.raises(Unreachable) as raised:
            versions.list_versions()
    assert sentence in str(raised.value)
    assert f"http://{place}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_takes_a_request_and_is_silent_is_called_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Unreachable, match="does not answer in time: it is busy"):
            versions.list_versions()


def test_a_server_that_takes_longer_to_answer_than_to_connect_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setattr(mlflow_client, "CONNECT_WITHIN_SECONDS", 0.5)
    with stub_server(200, "{}", delay_seconds=1) as (place, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{place}")
        assert versions.list_versions() == []
