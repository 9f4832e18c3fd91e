"""As whom MLflow's server knows us."""

from pathlib import Path

import pytest

from registry.store import mlflow_client

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
