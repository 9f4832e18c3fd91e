"""Through a server the versions and their files go; what stays in its database is said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry import store, versions
from registry.__main__ import main
from registry.retention import files
from registry.retention.plan import Plan
from tests.field.mlflow_server import mlflow_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("restored_logging")]


def test_a_server_keeps_the_rows_of_deleted_runs_and_nothing_else(
    seven: list[versions.Version],
    plan_later: Callable[[], Plan],
    fresh_store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with mlflow_server(fresh_store / "mlflow.db"):
        plan = plan_later()
        assert {item.identifier for item in plan.items if item.kind == "version"} == {
            "dln/5",
            "dln/6",
        }
        assert main(["prune", "--keep-last", "1", "--older", "0h", "--yes"]) == 0
        assert "`mlflow gc`" in capsys.readouterr().out
        left = {version.number for version in versions.list_versions("dln")}
        assert left == {1, 2, 3, 4, 7}
        assert not store.is_active(seven[4].run_id)
        assert not any(item.location and files.size_bytes(item.location) for item in plan.items)
        assert not plan_later().items
