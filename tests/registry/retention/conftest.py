"""Seven old versions, of which two are needed by nobody, and a store to delete them from."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from onnx import ModelProto

from registry import store, versions
from registry.promotion import promote
from registry.retention.plan import Plan, make_plan
from tests.registry.conftest import Register

OLDER = timedelta(days=90)
LATER = timedelta(days=100)


@pytest.fixture
def register(
    register: Register, exported: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Register:
    """Register the tiny network with a graph that is exported once; its run ends."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    make = partial(register, onnx=lambda _part: exported)

    def ended(**changes: object) -> versions.Version:
        version = make(**changes)
        store.connect().set_terminated(version.run_id)
        return version

    return ended


@pytest.fixture
def seven(register: Register) -> list[versions.Version]:
    """Register versions 1 to 7; 5 and 6 are needed by nobody."""
    found = [register() for _ in range(7)]
    promote("dln", 1)
    promote("dln", 2)
    client = store.connect()
    client.set_registered_model_alias("dln", "tried", "3")
    client.log_param(found[6].run_id, "start", "dln/4")
    return found


@pytest.fixture
def plan_later() -> Callable[[], Plan]:
    """Return what can be deleted in a hundred days, of which each model keeps one version."""
    return lambda: make_plan(1, OLDER, datetime.now(UTC) + LATER)
