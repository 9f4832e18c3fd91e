"""As whom MLflow's server knows us."""

from base64 import b64encode
from pathlib import Path

import pytest

from registry.store import mlflow_client
from tests.field.stub_server import stub_server

SERVER = "https://studio.example/mlflow"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_user_of_netrc_is_known_and_the_environment_counts_more(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mlflow_client.user(SERVER) is None
    netrc = home / ".netrc"
    netrc.touch(0o600)
    netrc.write_text("machine studio.example login anna password geheim\n")
    assert mlflow_client.user(SERVER) == "anna"
    assert mlflow_client.user("https://elsewhere.example") is None
    assert mlflow_client.user("sqlite:///mlflow.db") is None
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "paul")
    assert mlflow_client.user(SERVER) == "paul"


def test_a_login_in_the_environment_is_not_overruled_by_netrc(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login anna password geheim\n")
    for name, value in zip(mlflow_client.LOGIN, ("paul", "secret"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    with stub_server(200, "{}") as (place, logins):
        mlflow_client.configure()
        mlflow_client.ping(f"http://{place}")
    assert logins[0] == f"Basic {b64encode(b'paul:secret').decode()}"
