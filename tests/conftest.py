"""What all tests share: where the shared data lies, and a store of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real faces, or skip where it isn't at hand."""
    folder = os.environ.get("EXPRESSION_STUDIO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the shared data: set EXPRESSION_STUDIO_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session")
def examples() -> Path:
    """Return the folder of synthetic people that the demo ships."""
    return Path(__file__).parent.parent / "demo" / "examples"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Use a store of this test process alone; its database is migrated once."""
    from registry.store import connect

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
        connect()
        yield folder
