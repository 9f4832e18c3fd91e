"""A store that vanishes is missed, not replaced by an empty one; an empty file is damage."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from registry import promotion, store, versions
from registry.errors import EmptyRegistry, Unreachable
from tests.registry.conftest import Register


def test_a_reader_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
    assert versions.list_versions() == []
    assert versions.find("dln", starter="x") is None
    with pytest.raises(EmptyRegistry, match="No version of dln is registered"):
        versions.resolve("dln")
    with pytest.raises(EmptyRegistry, match="There is no registry in"):
        store.connect()
    assert not folder.exists()


def test_a_store_that_vanishes_is_not_made_again_and_comes_back_whole(
    register: Register, fresh_store: Path, tmp_path: Path
) -> None:
    register()
    promotion.promote("dln", 1)
    away = fresh_store.rename(tmp_path / "unmounted")
    for read in (lambda: versions.resolve("dln"), versions.list_versions, store.connect):
        with pytest.raises(Unreachable, match=r"mlflow\.db is gone: if it lies on a drive"):
            read()
    with pytest.raises(Unreachable, match="is gone"):
        store.experiment("dln")
    assert not fresh_store.exists()
    away.rename(fresh_store)
    assert versions.resolve("dln").number == 1


def test_a_database_that_vanishes_under_an_open_connection_is_not_made_by_sqlite(
    fresh_store: Path,
) -> None:
    client = store.connect()
    client.search_experiments()
    database = fresh_store / "mlflow.db"
    for file in fresh_store.glob("mlflow.db*"):
        file.unlink()
    engine = create_engine(client.tracking_uri)
    with pytest.raises(Unreachable, match="is gone"), store.answering():
        engine.connect()
    assert not database.exists()


def test_a_database_of_0_bytes_is_damage_and_stays_as_it_is(
    fresh_store: Path,
) -> None:
    database = fresh_store / "mlflow.db"
    database.write_bytes(b"")
    for use in (versions.list_versions, store.connect, lambda: store.experiment("dln")):
        with pytest.raises(Unreachable, match=r"is damaged \(mlflow\.db is empty, 0 bytes\)"):
            use()
    assert database.read_bytes() == b""


def test_a_database_that_is_put_back_from_a_copy_is_read(
    register: Register, fresh_store: Path, tmp_path: Path
) -> None:
    database = fresh_store / "mlflow.db"
    shutil.copy(database, tmp_path / "empty.db")
    register()
    assert len(versions.list_versions()) == 1
    for file in fresh_store.glob("mlflow.db*"):
        file.unlink()
    shutil.copy(tmp_path / "empty.db", database)
    assert versions.list_versions() == []
