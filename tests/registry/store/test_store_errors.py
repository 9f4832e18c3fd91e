"""A failure of the store becomes one sentence with the true cause, and destroys no registry."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient

from registry import store, versions
from registry.errors import BadVersion, Unreachable, first_line
from registry.store import store_errors
from tests.registry.conftest import Register

FULL, DENIED, LOCKED, DAMAGED = (
    "No space left on device",
    "can't be opened or written",
    "is being written by another program",
    "move the folder aside",
)


def system_error(code: int) -> OSError:
    return OSError(code, os.strerror(code), "/data/mlruns/card.md")


def sqlite_error(code: int, text: str) -> sqlite3.Error:
    """Return an error as SQLite raises it: only the code tells what it is."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code  # type: ignore[misc]
    return error


def wrapped(code: int, text: str = "SQLite's words") -> MlflowException:
    """Return MLflow's exception for an error of SQLite."""
    error = MlflowException(f"(sqlite3.OperationalError) {text}\n[SQL: INSERT INTO runs]")
    error.__cause__ = sqlite_error(code, text)
    return error


FAILURES = [
    (system_error(errno.ENOSPC), FULL),
    (system_error(errno.EDQUOT), FULL),
    (sqlite_error(sqlite3.SQLITE_FULL, ""), FULL),
    (wrapped(sqlite3.SQLITE_FULL), FULL),
    (shutil.Error([("a", "b", str(system_error(errno.ENOSPC)))]), FULL),
    (RuntimeError("I/O error: No space left on device (os error 28)"), FULL),
    (system_error(errno.EACCES), DENIED),
    (system_error(errno.EROFS), DENIED),
    (wrapped(sqlite3.SQLITE_READONLY), DENIED),
    (wrapped(sqlite3.SQLITE_READONLY_DIRECTORY), DENIED),
    (wrapped(sqlite3.SQLITE_CANTOPEN), DENIED),
    (wrapped(sqlite3.SQLITE_BUSY), LOCKED),
    (wrapped(sqlite3.SQLITE_BUSY_RECOVERY), LOCKED),
    (sqlite_error(sqlite3.SQLITE_NOTADB, ""), DAMAGED),
    (wrapped(sqlite3.SQLITE_CORRUPT), DAMAGED),
    (wrapped(sqlite3.SQLITE_IOERR_FSYNC), "the disk reports an error"),
    (OSError(), "gives no answer (OSError)"),
    (MlflowException(""), "gives no answer (MlflowException)"),
]


@pytest.mark.parametrize(("error", "cause"), FAILURES)
def test_a_failure_is_one_sentence_with_its_cause(
    fresh_store: Path, error: Exception, cause: str
) -> None:
    with pytest.raises(Unreachable) as raised, store.answering("nothing was registered"):
        raise error
    message = str(raised.value)
    assert cause in message
    assert [other for other in (FULL, DENIED, LOCKED, DAMAGED) if other in message] in ([], [cause])
    assert message.endswith("; nothing was registered.")
    assert "\n" not in message
    assert ("seed" in message) == (cause == DAMAGED)
    assert (fresh_store / "mlflow.db").is_file()


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("not the store's"), BadVersion("Already one sentence."), PermissionError],
)
def test_what_is_no_failure_of_the_store_passes_through(
    fresh_store: Path, error: Exception | type[Exception]
) -> None:
    assert fresh_store.is_dir()
    expected = Unreachable if error is PermissionError else type(error)
    with pytest.raises(expected) as raised, store.answering():
        raise error
    assert (raised.value is error) == (error is not PermissionError)


def test_a_full_disk_is_not_blamed_on_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"^No space left on device \(/data"), store.answering():
        raise system_error(errno.ENOSPC)
    with pytest.raises(Unreachable, match=r"server .* does not answer"), store.answering():
        raise ConnectionError("refused")


class Fault(NamedTuple):
    """A function that fails while a version is registered, and how."""

    owner: object
    name: str
    error: Exception
    message: str


FAULTS = [
    Fault(Path, "write_text", system_error(errno.ENOSPC), FULL),
    Fault(LocalArtifactRepository, "log_artifacts", system_error(errno.EACCES), DENIED),
    Fault(MlflowClient, "create_logged_model", wrapped(sqlite3.SQLITE_READONLY), DENIED),
    Fault(MlflowClient, "create_registered_model", wrapped(sqlite3.SQLITE_FULL), FULL),
    Fault(MlflowClient, "create_model_version", wrapped(sqlite3.SQLITE_FULL), FULL),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_registration_that_fails_half_way_leaves_nothing_behind(
    register: Register, fresh_store: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault.error

    with monkeypatch.context() as patch:
        patch.setattr(fault.owner, fault.name, fail)
        with pytest.raises(Unreachable, match=fault.message) as raised:
            register()
    assert str(raised.value).endswith("; nothing was registered.")
    assert versions.list_versions() == versions.broken_versions() == []
    assert store.connect().search_logged_models([store.experiment("dln")]) == []
    assert list(fresh_store.rglob("*.pt2")) == []
    assert register().number == 1


def test_a_failure_that_cannot_be_undone_is_still_named(
    register: Register, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise wrapped(sqlite3.SQLITE_FULL)

    for name in ("create_model_version", "delete_logged_model"):
        monkeypatch.setattr(MlflowClient, name, fail)
    with pytest.raises(Unreachable, match=FULL):
        register()
    assert list(fresh_store.rglob("*.pt2")) == []


def test_space_is_checked_before_torch_writes(
    register: Register, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(fresh_store)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
        with pytest.raises(Unreachable, match=f"^{FULL}"):
            register()
    assert list(fresh_store.rglob("*.pt2")) == []


def test_needs_on_one_disk_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (tmp_path / "folder").mkdir()
    store_errors.require_space({tmp_path: 400, tmp_path / "folder": 600})
    with pytest.raises(OSError, match=FULL) as raised:
        store_errors.require_space({tmp_path: 401, tmp_path / "folder": 600})
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("Wrong.\nAnd more."), "Wrong"),
        (ValueError(), "ValueError"),
        (ValueError("  \n"), "ValueError"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_an_error_is_quoted_by_its_first_line_or_its_class(error: Exception, text: str) -> None:
    assert first_line(error) == text
