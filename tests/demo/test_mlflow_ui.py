"""Where the page's links to MLflow lead."""

import pytest

from demo.mlflow_ui import MlflowUI


def test_links_lead_where_visitors_reach_mlflow_and_never_hold_a_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000/mlflow")
    assert MlflowUI(5000, taken=7860).url == "http://mlflow:5000/mlflow"
    public = "https://anna:geheim@faces.example/mlflow/"
    monkeypatch.setenv("EXPRESSION_STUDIO_MLFLOW_URL", public)
    ui = MlflowUI(5000, taken=7860)
    assert ui.url == "https://faces.example/mlflow"
    assert ui.port is None, "no UI of its own is started"
    assert MlflowUI(None, taken=7860).url is None
