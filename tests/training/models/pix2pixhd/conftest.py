"""Drawn faces, a tiny encoder, and a recipe that takes seconds."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry.catalog import DLN
from tests.browser.networks import Tiny, register
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.models.pix2pixhd.config import RECIPES, Pix2pixHDRecipe


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("toy")
    prepare("toy", None, folder)
    return Prepared.open(folder)


@pytest.fixture
def dln(fresh_store: Path) -> str:
    assert fresh_store.is_dir()
    register(DLN, Tiny(1, {"expression": 16, "identity": 32}))
    return "dln/1"


@pytest.fixture
def recipe(dln: str, toy: Prepared, tmp_path: Path) -> Pix2pixHDRecipe:
    smoke = RECIPES["pix2pixhd-smoke"]
    return replace(smoke, toy=False, data=(toy.folder,), encoder=dln, runs=tmp_path / "runs")
