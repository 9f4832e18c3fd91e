"""Whoever lacks one of MLflow's permissions reads which, on what, and whom to ask."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry import candidates, promotion, store, versions
from registry.__main__ import main
from registry.errors import Unreachable
from tests.field.mlflow_server import MlflowServer, mlflow_server
from tests.registry.conftest import Register

PASSWORD = "correct-horse"


@pytest.fixture
def server(
    register: Register, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MlflowServer]:
    """Serve a store with a version in production and a candidate."""
    register()
    promotion.promote("dln", 1)
    monkeypatch.setenv(candidates.VARIABLE, "1")
    register()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "lena")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    with mlflow_server(fresh_store / "mlflow.db") as server:
        yield server


def refused(command: Callable[[], object]) -> str:
    with pytest.raises(Unreachable) as raised:
        command()
    return str(raised.value)


def test_a_missing_permission_is_named_with_its_registered_model(
    server: MlflowServer, register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    def sentence(permission: str, outcome: str) -> str:
        return (
            f"The MLflow server {server.address} forbids this to the user (status 403): ask for "
            f"the permission {permission}, which whoever runs the server grants, or set "
            f"MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to another user's; {outcome}."
        )

    edit, nothing = "EDIT on the registered model", "nothing was registered"
    server.forbidden.write_text("model-versions/create registered-models/alias")
    assert main(["promote", "dln", "1", "--force", "--reason", "to see it"]) == 3
    printed = capsys.readouterr()
    outcome = "the copy of Version 1 of dln-candidates was not written"
    assert printed.err == sentence(f"{edit} dln", outcome) + "\n"
    assert PASSWORD not in printed.err + printed.out
    assert refused(register) == sentence(f"{edit} dln-candidates", nothing)
    moved = refused(lambda: promotion.promote("dln", 1))
    assert moved == sentence(f"{edit} dln", "the alias production of dln was not written")

    server.forbidden.write_text("registered-models/create")
    assert register().name == "dln-candidates", "it is there, and need not be made"
    server.forbidden.write_text("logged-models")
    assert refused(register) == sentence("EDIT on the experiment", nothing)
    server.forbidden.write_text("registered-models/get")
    assert "READ on the registered model dln," in refused(lambda: versions.resolve("dln"))
    server.forbidden.unlink()
    (version,) = versions.list_versions("dln")
    assert version.aliases == ("production",), "nothing has changed"


def test_a_deletion_needs_more_than_a_change(server: MlflowServer) -> None:
    server.forbidden.write_text("model-versions/delete-tag")

    def delete() -> None:
        with store.writing("The tag", model="dln"):
            store.connect().delete_model_version_tag("dln", "1", "tag")

    assert "MANAGE on the registered model dln," in refused(delete)
