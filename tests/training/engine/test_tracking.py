"""Where the store of runs fails, the search for a run says why."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import mlflow
import pytest

from registry.errors import Unreachable
from training.engine.runs import finished


def test_a_store_that_fails_during_the_search_for_a_run_is_a_sentence(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finished("dln", "dln-0123456789") is None

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fresh_store))

    monkeypatch.setattr(mlflow.MlflowClient, "search_runs", fail)
    with pytest.raises(Unreachable, match=r"^No space left on device"):
        finished("dln", "dln-0123456789")
