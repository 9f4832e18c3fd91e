"""The user and password in a server's address reach the server, and are shown nowhere."""

import logging
from pathlib import Path

import pytest

from app import main as app_main
from demo.mlflow_ui import MlflowUI
from registry import logs, store, versions
from registry.__main__ import main as registry_main
from registry.addresses import without_userinfo
from registry.errors import Unreachable, first_line
from tests.field.stub_server import stub_server
from training.__main__ import main as training_main

PASSWORD = "gehe1m/p@ss"
IN_ADDRESS = "anna:gehe1m%2Fp%40ss@"
BASIC = "Basic YW5uYTpnZWhlMW0vcEBzcw=="
SECRETS = ("gehe1m", BASIC.removeprefix("Basic "))
"""A part of the password that every spelling has, and what the server is sent."""


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("EXPRESSION_STUDIO_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that it is as before when the test ends
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("status", [401, 404, 500])
def test_no_output_log_or_link_shows_the_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, status: int
) -> None:
    with stub_server(status) as (place, logins):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{IN_ADDRESS}{place}")
        assert registry_main(["list"]) == 3
        assert training_main(["train", "dln-smoke", "--runs", str(tmp_path / "runs")]) == 3
        assert app_main(["seed"]) == 3
        assert MlflowUI(5000, taken=7860).url == f"http://{place}"
        logging.getLogger("tests").error("Failed: %s", f"http://{IN_ADDRESS}{place}")
    assert logins[0] == BASIC, "the server was sent the password"
    shown = "".join(capfd.readouterr())
    assert f"http://{place}" in shown
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    logged = "".join(path.read_text(errors="replace") for path in files)
    assert f"Failed: http://{place}" in logged
    for secret in SECRETS:
        assert secret not in shown
        assert secret not in logged


def test_a_dead_server_and_its_traceback_show_no_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{IN_ADDRESS}127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"server http://127\.0\.0\.1:9 does not answer") as error:
        versions.resolve("dln")
    assert all(secret not in str(error.value) for secret in SECRETS)
    assert all(secret not in "".join(capfd.readouterr()) for secret in SECRETS)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://u:p@host:5000/x", "http://host:5000/x"),
        ("https://u:p@ss@[::1]/", "https://[::1]/"),
        ("http://token@host", "http://host"),
        ("postgresql+psycopg://u:a/b@host/db", "postgresql+psycopg://host/db"),
        ("can't reach 'http://u:p@h': ask me@home.org", "can't reach 'http://h': ask me@home.org"),
        ("http://host/#/models/dln@production", "http://host/#/models/dln@production"),
        ("models:/dln@production", "models:/dln@production"),
        ("sqlite:////data/me@home/mlflow.db", "sqlite:////data/me@home/mlflow.db"),
    ],
)
def test_only_the_user_and_password_are_removed_from_an_address(address: str, shown: str) -> None:
    assert without_userinfo(address) == shown
    assert str(Unreachable(f"See {address}.")) == f"See {shown}."
    assert first_line(ValueError(address)) == shown


def test_a_databases_password_is_not_shown_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://anna:gehe1m@127.0.0.1:9/db")
    with (
        pytest.raises(Unreachable, match=r"database postgresql://127\.0\.0\.1:9/db") as raised,
        store.answering(),
    ):
        raise ConnectionError(store.tracking_uri())
    assert "gehe1m" not in str(raised.value)
    assert logs.folder().name == "expression-studio-logs"
