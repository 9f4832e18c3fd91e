"""What is read by SQL is what MLflow's client reads."""

import pytest
from alembic.script import ScriptDirectory
from mlflow.store import db_migrations

from registry import store
from registry.promotion import promote
from registry.store.record_types import Records
from registry.store.records import MlflowRecords, open_records
from registry.store.sql_records import SCHEMA, SqlRecords, can_read
from tests.registry.conftest import Register


@pytest.fixture
def both(register: Register) -> tuple[Records, Records]:
    """Return both readers of a store with three versions, of which the second was deleted."""
    for _ in range(3):
        register(starter="fedc")
    promote("dln", 3)
    client = store.connect()
    client.set_registered_model_alias("dln", "best", "1")
    client.delete_model_version("dln", "2")
    return open_records(), MlflowRecords(client)


def test_both_readers_agree(both: tuple[Records, Records]) -> None:
    by_sql, by_mlflow = both
    assert isinstance(by_sql, SqlRecords)
    assert by_sql.aliases("dln") == by_mlflow.aliases("dln") == {"production": 3, "best": 1}
    assert by_sql.aliases("emotion") is by_mlflow.aliases("emotion") is None
    entries = by_sql.entries("dln")
    assert [entry.number for entry in entries] == [3, 1]
    assert entries == by_mlflow.entries("dln") == by_mlflow.entries(None) == by_sql.entries(None)
    for number in (1, 2, 3, 4):
        assert by_sql.entry("dln", number) == by_mlflow.entry("dln", number)
    for number in (1, 3):
        assert by_sql.location("dln", number) == by_mlflow.location("dln", number)
    run = by_sql.run(entries[0].run_id)
    assert run == by_mlflow.run(entries[0].run_id)
    assert run is not None
    assert by_sql.run("no such run") is by_mlflow.run("no such run") is None


def test_a_number_that_no_database_holds_is_no_version(both: tuple[Records, Records]) -> None:
    assert both[0].entry("dln", 10**30) is None


def test_the_sql_is_written_for_the_installed_mlflow(register: Register) -> None:
    register()
    scripts = ScriptDirectory(next(iter(db_migrations.__path__)))
    assert scripts.get_current_head() == SCHEMA
    folder = store.folder()
    assert folder is not None
    assert can_read(folder / "mlflow.db")
    assert not can_read(folder / "absent.db")
    assert not (folder / "absent.db").exists()
