"""Drawn faces, a tiny encoder, and a recipe that takes seconds."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from registry.catalog import DLN
from tests.browser.networks import Tiny, register
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.config import RECIPES, Pix2pixHDRecipe


@pytest.fixture(scope="session")
def toy(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("toy")
    shutil.copytree(drawn, folder, dirs_exist_ok=True)
    return Prepared.open(folder)


@pytest.fixture(scope="session")
def with_dln(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of a store with a DLN; its copies have its files."""
    folder = tmp_path_factory.mktemp("with-dln")
    shutil.copy(migrated, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
        register(DLN, Tiny(1, {"expression": 16, "identity": 32}))
    return folder / migrated.name


@pytest.fixture
def dln(with_dln: Path, fresh_store: Path) -> str:
    """Return a DLN in an otherwise empty store for this test alone."""
    with (
        closing(sqlite3.connect(with_dln)) as filled,
        closing(sqlite3.connect(fresh_store / with_dln.name)) as own,
    ):
        filled.backup(own)  # the file alone lacks what is in its log
    return "dln/1"


@pytest.fixture
def recipe(dln: str, toy: Prepared, tmp_path: Path) -> Pix2pixHDRecipe:
    smoke = RECIPES["pix2pixhd-smoke"]
    return replace(smoke, toy=False, data=(toy.folder,), encoder=dln, runs=tmp_path / "runs")
